"""From settings to services: the only package that knows which adapters there are."""

from callvault.adapters.room import SPARE_BYTES as SPARE_BYTES
from callvault.bootstrap.adapters import Adapters as Adapters
from callvault.bootstrap.adapters import master_key_of as master_key_of
from callvault.bootstrap.adapters import migrate as migrate
from callvault.bootstrap.adapters import open_master_key as open_master_key
from callvault.bootstrap.adapters import open_storage as open_storage
from callvault.bootstrap.adapters import open_store as open_store
from callvault.bootstrap.adapters import prepare as prepare
from callvault.bootstrap.assembly import assemble as assemble
from callvault.bootstrap.house import House as House
from callvault.bootstrap.house import opened as opened
from callvault.bootstrap.house import version as version
from callvault.bootstrap.house import web_options as web_options
