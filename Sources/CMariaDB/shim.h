// One module for everything of libmariadb: a second module that includes mysql.h as text would
// make enum constants vanish in Swift.
#ifndef SKEIN_CMARIADB_SHIM_H
#define SKEIN_CMARIADB_SHIM_H
#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>
#include <mariadb_rpl.h>
#endif
