"""The life of an image: its record, its bits on the hosts of ImageStores, how it comes there and how it goes."""
