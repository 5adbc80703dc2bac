"""Every way in: sound becomes takes on lanes, acknowledged when it is durable and not before."""
