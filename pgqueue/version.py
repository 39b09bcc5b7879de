"""The version of this copy of pgqueue: said by `pgq --version`, and by each worker process when it registers."""

VERSION = "0.2.0.dev0"
