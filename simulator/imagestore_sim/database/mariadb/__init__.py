"""A store in a MariaDB, which several nodes may share. The driver, asyncmy, comes with the extra `mariadb`."""
