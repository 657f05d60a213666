"""MySQL 5.7 and later and MariaDB 10.4 and later, through pymysql."""
