"""The database and the files. Only this package contains SQL and knows where files are stored."""
