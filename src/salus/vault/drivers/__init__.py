"""Where sealed objects lie: a folder, an S3 bucket, or rows of a database, all behind one small protocol."""
