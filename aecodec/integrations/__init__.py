"""Where the data live: kinds of files and other libraries, each an optional extra that says so when it is missing."""
