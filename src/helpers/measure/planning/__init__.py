"""A plan of a sweep before anything large is downloaded: what is there, how many bytes, how long it will take."""
