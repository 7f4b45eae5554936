#!/usr/bin/env python3
"""Makes the golden files that carried-forward table shapes are tested against.

Runs DDL on a real, throw-away server and writes down, after each statement, what
information_schema says of every table that changed. Two kinds of scenarios: written by hand
(scripts/golden/ddl-shapes.sql) and generated from a seed. Statements the server refuses are left
out, so the generator may be careless.

    mariadbd --no-defaults --datadir=D --socket=S ..      (a fresh server that nobody else uses)
    scripts/golden/ddl-shapes.py --socket S --seed 1 --scenarios 60 > Tests/Golden/ddl-shapes/X.txt

Lines of the output, fields separated by tabs:
    V version
    S sql_mode charset default        a new scenario: schema `g` is dropped and created; the third is
                                      the session's default schema where that is another one
    Q statement
    - table                           it is gone
    T table engine collation          it changed: all of it follows
    C name type nullable charset collation extra
    K name unique parts               `a,b(10)`; an expression is `()`
    F name columns parent parent-columns on-delete on-update
"""
import argparse, os, random, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
args = argparse.ArgumentParser()
args.add_argument("--socket", required=True)
args.add_argument("--user", default="root")
args.add_argument("--seed", type=int, default=1)
args.add_argument("--scenarios", type=int, default=60)
args = args.parse_args()


def run(sql, schema=None):
    command = ["mariadb", "--no-defaults", "-S", args.socket, "-u", args.user, "-N", "-B", "-r",
               "--comments", "--default-character-set=utf8mb4"] + ([schema] if schema else [])
    p = subprocess.run(command, input=sql.encode(), capture_output=True)
    return p.returncode == 0, p.stdout.decode(), p.stderr.decode()


def rows(sql):
    ok, out, err = run(sql)
    assert ok, err
    return [line.split("\t") for line in out.split("\n") if line]


def esc(column):
    return f"replace(replace(replace(ifnull({column}, '~'), '\\\\', '\\\\\\\\'), '\\n', '\\\\n'), '\\t', '\\\\t')"


def dump():
    out = {}
    where = "table_schema = 'g'"
    for name, engine, collation in rows(
            f"select table_name, ifnull(engine,'~'), ifnull(table_collation,'~') from information_schema.tables "
            f"where {where} and table_type like '%TABLE' or {where} and table_type like '%VERSIONED'"):
        out[name] = [f"T\t{name}\t{engine}\t{collation}"]
    for r in rows(
            f"select table_name, {esc('column_name')}, {esc('column_type')}, is_nullable, "
            f"ifnull(character_set_name,'~'), ifnull(collation_name,'~'), ifnull(extra,'') "
            f"from information_schema.columns where {where} order by table_name, ordinal_position"):
        if r[0] in out:
            out[r[0]].append("C\t" + "\t".join(r[1:]))
    for name in out:
        keys = {}
        for r in rows(f"show index from g.`{name}`"):
            part = "()" if r[4] == "NULL" else r[4] + ("" if r[7] == "NULL" else f"({r[7]})")
            keys.setdefault(r[2], ["1" if r[1] == "0" else "0", []])[1].append(part)
        for key, (unique, parts) in keys.items():
            out[name].append(f"K\t{key}\t{unique}\t{','.join(parts)}")
    for r in rows(
            f"select k.table_name, k.constraint_name, "
            f"group_concat(k.column_name order by k.ordinal_position), k.referenced_table_name, "
            f"group_concat(k.referenced_column_name order by k.ordinal_position), r.delete_rule, r.update_rule "
            f"from information_schema.key_column_usage k join information_schema.referential_constraints r "
            f"on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name "
            f"and r.table_name = k.table_name where k.table_schema = 'g' and k.referenced_table_name is not null "
            f"group by 1, 2, 4, 6, 7 order by 1, 2"):
        out[r[0]].append("F\t" + "\t".join(r[1:]))
    return out


def scenario(mode, charset, statements, default="g"):
    """Runs one scenario and prints it; `statements` gets the state to choose by."""
    ok, _, err = run(f"drop schema if exists g; create schema g character set {charset}")
    assert ok, err
    print(f"S\t{mode}\t{charset}" + ("" if default == "g" else f"\t{default}"))
    before = {}
    for statement in statements:
        keep = "set system_versioning_alter_history=KEEP; " if is_mariadb else ""
        ok, _, err = run(f"set sql_mode='{mode}'; {keep}{statement}", default)
        if not ok:
            if os.environ.get("SHOW_REFUSED"):
                print(f"refused: {statement}: {err.strip()}", file=sys.stderr)
            continue
        print("Q\t" + statement.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t"))
        now = dump()
        for table in sorted(before.keys() - now.keys()):
            print(f"-\t{table}")
        for table in sorted(now):
            if before.get(table) != now[table]:
                print("\n".join(now[table]))
        before = now


version = rows("select version()")[0][0]
is_mariadb = "MariaDB" in version
print(f"V\t{version}")


def by_hand():
    mode, charset, statements, default = "", "utf8mb4", [], "g"
    for line in open(os.path.join(HERE, "ddl-shapes.sql"), encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("-- scenario"):
            if statements:
                yield mode, charset, statements, default
            words = line.split()
            mode, charset, statements, default = "", "utf8mb4", [], "g"
            for word in words[2:]:
                if word.startswith("mode="): mode = word[5:]
                if word.startswith("charset="): charset = word[8:]
                if word.startswith("default="): default = word[8:]
        elif line.startswith("[mariadb] "):
            if is_mariadb: statements.append(line[10:])
        elif line.startswith("[mysql] "):
            if not is_mariadb: statements.append(line[8:])
        elif line and not line.startswith("--"):
            statements.append(line)
    if statements:
        yield mode, charset, statements, default


# Generated scenarios.
R = random.Random(args.seed)
TYPES = ["int", "INTEGER(7)", "bigint unsigned", "tinyint(1)", "bool", "smallint zerofill", "mediumint", "dec(8,3)",
         "NUMERIC", "fixed(4)", "float", "float(30)", "double precision", "real unsigned", "bit(9)", "year", "date",
         "time(3)", "datetime(6)", "timestamp NULL", "char", "char(5)", "varchar(20)", "character varying(33)",
         "nchar(4)", "national varchar(7)", "varchar(30) binary", "varchar(9) charset latin1", "char(3) ascii",
         "varchar(8) character set utf8mb4 collate utf8mb4_bin", "text", "text(100)", "text(70000)", "tinytext",
         "mediumtext charset latin1", "longtext", "long", "long varbinary", "binary(4)", "varbinary(12)", "blob",
         "blob(300)", "blob(20)", "mediumblob", "enum('a','b','c''d')", "set('x','y ')", "json",
         "char(6) byte", "varchar(10) collate latin1_bin", "enum('p','q') charset latin1", "tinyblob",
         "varchar(5) collate utf8mb4_general_ci"]
INDEXABLE = ("int", "dec", "num", "date", "time", "year", "char", "varchar", "bit", "enum", "nchar", "bool")
CHARSETS = ["utf8mb4", "latin1", "utf8mb3", "utf8", "ascii", "binary"]


def name(prefix="c"): return f"{prefix}{R.randint(1, 9)}"


def column_definition(allow_auto=False):
    t = R.choice(TYPES)
    out = t
    roll = R.random()
    if roll < 0.25 and "NULL" not in t: out += " NOT NULL"
    elif roll < 0.32: out += " NULL"
    if R.random() < 0.06 and t.startswith(INDEXABLE): out += " UNIQUE"
    if R.random() < 0.1: out += " COMMENT 'it''s, (fine)'"
    if R.random() < 0.08: out += " INVISIBLE"
    return out


def part():
    c = name()
    roll = R.random()
    if roll < 0.25: return f"{c}({R.randint(1, 12)})"
    if roll < 0.35: return f"{c} desc"
    return c


def key():
    parts = ", ".join(part() for _ in range(R.choice([1, 1, 1, 2, 2, 3])))
    kind = R.choice(["key", "index", "unique", "unique key", "unique index", "key"])
    own = "" if R.random() < 0.4 else " " + name("k")
    constraint = f"constraint {name('u')} " if kind.startswith("unique") and R.random() < 0.2 else ""
    return f"{constraint}{kind}{own} ({parts})"


def foreign_key():
    own = f"constraint {name('f')} " if R.random() < 0.5 else ""
    index = f" {name('i')}" if R.random() < 0.3 else ""
    action = R.choice(["", " on delete cascade", " on update set null", " on delete no action on update restrict"])
    return f"{own}foreign key{index} ({R.choice(['p', 'p2'])}) references parent ({R.choice(['id', 'id2'])}){action}"


def place():
    roll = R.random()
    return " first" if roll < 0.15 else f" after {name()}" if roll < 0.35 else ""


def action():
    roll = R.random()
    if roll < 0.22: return f"add {R.choice(['column ', ''])}{name()} {column_definition()}{place()}"
    if roll < 0.26: return f"add column ({name()} {column_definition()}, {name()} {column_definition()})"
    if roll < 0.36: return f"drop {R.choice(['column ', ''])}{name()}"
    if roll < 0.48: return f"modify {name()} {column_definition()}{place()}"
    if roll < 0.58: return f"change {name()} {name()} {column_definition()}{place()}"
    if roll < 0.63: return f"rename column {name()} to {name()}"
    if roll < 0.78: return f"add {key()}"
    if roll < 0.82: return f"drop key {R.choice([name('k'), name('c'), name('c') + '_2'])}"
    if roll < 0.85: return f"rename key {R.choice([name('k'), name('c')])} to {name('k')}"
    if roll < 0.87: return R.choice(["drop primary key", f"drop primary key, add primary key ({name()})", f"add primary key ({name()}, id)"])
    if roll < 0.90: return f"add {foreign_key()}"
    if roll < 0.92: return f"drop foreign key {R.choice([name('f'), 't1_ibfk_1', 't2_ibfk_1'])}"
    if roll < 0.95: return f"convert to charset {R.choice(CHARSETS)}"
    if roll < 0.97: return f"default charset {R.choice(CHARSETS)}"
    if roll < 0.98: return f"add g{R.randint(1, 3)} int as (id + 1) {R.choice(['virtual', 'stored'])}"
    return R.choice(["force", "comment 'x'", "auto_increment=100", "engine=innodb", f"alter {name()} drop default"])


def generated():
    yield "create table parent (id int primary key, id2 int not null, unique (id2), x int)"
    for t in ("t1", "t2"):
        columns = [f"c{i} {column_definition()}" for i in R.sample(range(1, 10), R.randint(2, 6))]
        extra = [key() for _ in range(R.randint(0, 3))]
        if R.random() < 0.4: extra.append(foreign_key())
        auto = " auto_increment" if R.random() < 0.4 else ""
        options = R.choice(["", "", " charset latin1", " collate utf8mb4_bin", " engine=InnoDB default charset=utf8mb3"])
        for attempt in range(4):
            yield f"create table {t} (id int not null{auto} primary key, p int, p2 int, {', '.join(columns + extra)}){options}"
            extra = extra[:-1]
    for _ in range(R.randint(10, 22)):
        roll = R.random()
        t = R.choice(["t1", "t2"])
        if roll < 0.80: yield f"alter table {t} " + ", ".join(action() for _ in range(R.choice([1, 1, 1, 2, 3])))
        elif roll < 0.86: yield f"create {R.choice(['', 'unique '])}index {name('k')} on {t} ({part()}, {part()})"
        elif roll < 0.89: yield f"drop index {R.choice([name('k'), name('c')])} on {t}"
        elif roll < 0.93: yield f"rename table t1 to t9, t2 to t1, t9 to t2"
        elif roll < 0.95: yield f"create table t3 like {t}"
        else: yield "drop table if exists t3"


for mode, charset, statements, default in by_hand():
    scenario(mode, charset, statements, default)
STRICT = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"
for i in range(args.scenarios):
    scenario(STRICT if i % 3 else "NO_ENGINE_SUBSTITUTION", R.choice(["utf8mb4", "utf8mb4", "latin1", "utf8mb3"]),
             generated())
run("drop schema if exists g")
