-- Scenarios written by hand: one statement per line, `[mariadb]` or `[mysql]` for one family.
-- scenario mode=STRICT_TRANS_TABLES types
create table a (a1 int, a2 integer, a3 int(11) unsigned, a4 int1, a5 int2, a6 int3, a7 int4, a8 int8, a9 middleint, b1 bool, b2 boolean, c1 dec, c2 numeric(9), c3 fixed(5,2), c4 decimal(0), d1 float, d2 float(10), d3 float(24), d4 float(25), d5 float(7,3), d6 double, d7 double precision, d8 real, d9 float4, d10 float8, e bit, f bit(64))
create table b (a char, b char(0), c character(3), d varchar(0), e varcharacter(5), f character varying(6), g char varying(7), h nchar, i nchar(3), j nvarchar(4), k national char(5), l national varchar(6), m national character varying(7), n nchar varchar(8), o nchar varying(9), p char byte, q char(4) byte, r varchar(5) byte, s char(6) unicode, t char(6) ascii, u varchar(3) binary, v varchar(3) ascii binary, w varchar(3) charset latin1 binary, x char(3) binary charset latin1)
create table c (a text, b text(10), c text(63), d text(64), e text(255), f text(16383), g text(16384), h text(70000), i text(4194304), j text(17000000), k blob(10), l blob(255), m blob(256), n blob(65535), o blob(65536), p blob(16777216), q long, r long varchar, s long varbinary, t tinytext, u mediumtext, v longtext, w tinyblob, x mediumblob, y longblob, z long char varying)
create table d (a date, b time, c time(0), d time(6), e datetime(3), f timestamp, g timestamp(2) null, h year, i year(4))
create table e (a geometry, b point, c linestring, d polygon, e multipoint, f multilinestring, g multipolygon, h geometrycollection, i json, j geometry not null)
[mysql] create table e2 (h geomcollection, v vector, w vector(5), s geometry not null srid 4326)
[mariadb] create table e2 (a inet4, b inet6, c uuid)
create table f (id serial, a enum('x','y  ','','it''s','back\\slash','tab	'), b set('ä','日本','a b'), c enum('a') charset latin1, d enum(0x61,'b'), e set('q') collate utf8mb4_bin)
create table g (a int serial default value, b int)
create table h (a varchar(10) charset binary, b char(3) charset binary, c text charset binary, d tinytext charset binary)
create table i (a varchar(3) charset latin1 collate latin1_bin, b varchar(3) collate latin1_german1_ci, c varchar(3) charset utf8, d varchar(3) collate utf8_bin, e varchar(3) charset ucs2, f text charset utf8mb3, g varchar(3) charset sjis, h varchar(2) charset koi8r, i char(1) charset gbk, j char(1) charset big5, k char(1) charset cp1251, l char(2) charset utf16, m char(2) charset utf32, n char charset cp932, o char charset eucjpms, p char charset latin2, q char charset tis620, r char charset euckr, s char charset hebrew, t char charset greek, u char charset cp1250, v char charset latin5, w char charset armscii8, x char charset cp866, y char charset macce, z char charset keybcs2)
create table j (a char charset dec8, b char charset cp850, c char charset hp8, d char charset swe7, e char charset latin7, f char charset ujis, g char charset gb2312, h char charset utf16le, i char charset geostd8, j char charset cp852, k char charset macroman, l char charset cp1256, m char charset cp1257)
-- scenario too long without strict mode
create table a (a varchar(20000), b varchar(70000) charset latin1, c varbinary(70000), d varchar(16383) charset latin1)
alter table a modify d varchar(17000)
-- scenario mode=REAL_AS_FLOAT
create table a (a real, b double)
-- scenario mode=ANSI_QUOTES,STRICT_TRANS_TABLES
create table "a" ("from" int, "a""b" varchar(3) default 'x', `b``c` int, key "k ey" ("from"))
alter table "a" change "a""b" "c d" varchar(5), add key ("c d")
-- scenario mode=NO_BACKSLASH_ESCAPES
create table a (a enum('a\','b') default 'a\', b int comment '\')
-- scenario charset=latin1 charsets inherited
create table a (a varchar(3), b text, c enum('x'), d varchar(3) charset utf8mb4, e varbinary(3), f json)
create table b (a varchar(3), b varchar(3) collate utf8mb4_bin) charset utf8mb4
create table c (a varchar(3)) collate utf8mb4_bin
create table c2 (a varchar(3) binary, b varchar(3)) character set = utf8mb3 collate = utf8mb3_bin
create table d (a varchar(3), b text) charset binary
alter table a add g varchar(5), convert to charset utf8mb4
alter table a add h varchar(5) charset latin1
alter table a default charset ucs2
alter table a add i varchar(5), modify a varchar(4)
alter table a collate utf8mb4_bin
alter table a add j varchar(5)
alter table a convert to charset utf8mb4 collate utf8mb4_bin
alter table a convert to charset binary
alter table b convert to charset default
alter schema g charset utf8mb4 collate utf8mb4_bin
create table e (a varchar(3), b varchar(2) charset utf8mb4)
alter schema collate = latin1_german1_ci
create table e2 (a varchar(3), b varchar(2) charset utf8mb4)
-- scenario charset=latin1 text types grow
create table a (a tinytext, b text, c mediumtext, d longtext, e varchar(200), f char(9), g tinyblob, h text charset utf8mb4, i tinytext charset utf8mb3, j text charset ucs2, k enum('a'), l set('b'), m text collate latin1_bin)
alter table a convert to character set utf8mb3
alter table a convert to character set utf8mb4
alter table a convert to character set latin1
-- scenario keys
create table a (a int, b int, c varchar(100), d text, key (a), key (a,b), unique (a), index (b), unique key named (b,c), constraint con unique (c), constraint con2 unique index ind (c,a), key (c(10)), key (d(20), a), key (c(100)))
create table b (a int, b int primary key, c int unique, d int unique key)
create table b1 (a int, e int key comment 'x')
create table b2 (a int, b int primary key, c int unique, d int unique key)
create table b4 (e int unique primary key, f int)
create table b3 (a int unique, b int unique not null, c varchar(20) not null, unique (c(5)), unique (c(5), a), unique (c), key (a), primary key (b))
create table c (a int, b int, c text, d int, primary key (b, a), key (a, d), unique (d, a), fulltext (c), fulltext key ft (c))
create table c2 (g geometry not null, spatial key (g), spatial index sp (g))
create table c3 (a binary(10), b varbinary(10), c blob, key (a(3)), key (b(10)), key k (c(7)), key (a(10), b(4)))
create table d (`Key` int, `PRIMARY` int, key (`Key`), key (`PRIMARY`))
[mysql] create table e (a int, b int, key ((a + b)), key f ((a * 2), b), unique ((b * 2)))
[mysql] create table e1 (a int, j json, key mv ((cast(j as unsigned array))))
create table f (a varchar(10) charset utf8mb4, b text, key (a(5)), key (b(30)))
alter table f modify a varchar(4) charset utf8mb4
alter table f modify b varchar(30)
alter table f modify a int
alter table c drop key d, drop primary key, drop column a
alter table a drop key named, drop key con, drop key ind, drop key c, drop key c_2, drop column c
[mysql] alter table f drop column a
alter table a drop key a, add key a (b)
alter table b3 drop primary key, add primary key (c(5))
alter table b3 drop primary key
create unique index x on b3 (a, b)
create index y on b3 (c(4) desc)
drop index x on b3
drop index `PRIMARY` on c
alter table b3 rename key y to z, add index y (a)
alter table b2 add unique (a), add key (a), add unique index (a)
alter table d add key using btree (`Key`), add key zz using btree (`Key`), add index yy (`PRIMARY`) comment 'x'
-- scenario foreign keys
create table p (id int primary key, a int, b int, unique (a, b), unique (b))
create table c1 (id int, a int, b int, foreign key (id) references p (id))
create table c2 (id int, a int, b int, constraint con foreign key (id) references p (id) on delete cascade on update set null, foreign key ind (a, b) references p (a, b) on delete no action)
create table c3 (id int, a int, b int, foreign key (id) references p (id), foreign key (id) references p (b), key (id, a))
create table c4 (id int primary key, a int, foreign key (id) references p (id) on delete restrict, foreign key (a) references c4 (id))
create table c5 (id int, constraint foreign key (id) references g.p (id), constraint `q` foreign key `ii` (id) references p (b))
create table c6 (id int references p (id), b int references p (b) on delete cascade)
[mysql] create table c7 (id int references p)
alter table c1 add foreign key (a) references p (b)
alter table c1 add key (a, b)
alter table c1 drop foreign key c1_ibfk_1
alter table c1 add foreign key (b) references p (id), add constraint named foreign key (b) references p (b)
alter table c1 drop foreign key named, add foreign key (b) references p (b) on delete set null
alter table c1 drop key id
rename table c1 to d1
alter table d1 add foreign key (id) references p (id)
alter table p rename to q
alter table q change id idd int
alter table q rename column b to bb
alter table d1 drop constraint d1_ibfk_3
drop table d1, c3
-- scenario order of columns
create table t (a int, b int, c int)
alter table t add d int first, add e int after a, add f int
alter table t add g int after e, add h int after g, modify c bigint first
alter table t change a aa int after f, change b bb int
alter table t drop aa, add aa varchar(3) after c, rename column bb to b
alter table t modify c int after f, modify f int first
alter table t rename column c to d, rename column d to c
alter table t add column (x int, y int not null), add column z int unique
alter table t change x y int, change y x int
alter table t add (k int, key kk (k), unique (k))
[mariadb] alter table t add column if not exists a int
[mariadb] alter table t add column if not exists k bigint, drop column if exists nope, modify column if exists nope2 int, add index if not exists kk (k), drop index if exists nokey
[mariadb] alter table if exists nosuch add a int
[mariadb] alter online table t nowait add nw int
[mariadb] create index if not exists kk on t (a)
[mariadb] create or replace index kk on t (k, a)
[mariadb] rename table if exists nosuch to x
-- scenario nullability
create table t (id int auto_increment primary key, a timestamp, b timestamp null, c int not null null, d int null not null, e int default null)
alter table t modify id bigint
alter table t modify id bigint null
alter table t drop primary key
alter table t add primary key (a, e)
alter table t drop primary key, modify a timestamp null
create table u (id int, k varchar(3), primary key (id), b int auto_increment, key (b))
create table u2 (id int not null auto_increment, k int, key (id))
alter table u2 modify id int not null
alter table u2 modify k int auto_increment, add key (k)
-- scenario generated and invisible columns
create table t (a int, b int as (a + 1), c int generated always as (a * 2) virtual, d int as (a) stored, e varchar(10) as (concat('x', a, ',)')) stored, f int invisible, g int default 7 invisible not null)
[mariadb] alter table t add h int as (a + 3) persistent unique
alter table t add i int as (b + 1) virtual, add key (i)
[mysql] alter table t alter f set visible
[mysql] alter table t add n int as (a) stored not null
[mysql] alter table t alter f set invisible, alter column g set visible
alter table t modify g int not null
alter table t modify f int invisible
[mysql] create table pk (my_row_id bigint unsigned not null auto_increment invisible, a int, primary key (my_row_id))
-- scenario defaults and checks
create table t (a int default -1, b varchar(10) default 'a' 'b', c timestamp default current_timestamp on update current_timestamp, d datetime(3) default now(3) on update now(3), e int default (1 + 2), f varchar(40) default (uuid()), g bit(3) default b'101', h binary(2) default x'4142', i date default '2020-01-01', j int check (j > 0), k int check (k > 1), l varchar(5) default _latin1'x' collate utf8mb4_bin not null comment 'c', check (a < b), constraint named check ((a) > 0))
alter table t alter a set default 5, alter column b drop default, add constraint ch check (a <> 3)
alter table t drop constraint ch
[mysql] create table tc (k int constraint kk check (k > 1))
[mysql] alter table t alter check named not enforced
[mysql] alter table tc drop check kk, add m int
[mariadb] alter table t drop constraint if exists nosuch
[mariadb] create sequence sq
[mariadb] create table v (a int default nextval(sq), b int default (next value for sq), c datetime default localtimestamp, d varchar(20) default concat('a', 'b'), e date default curdate())
-- scenario options and partitions
create table t (id int not null auto_increment, d date not null, primary key (id, d)) engine = innodb, auto_increment 7 comment = 'c' row_format=dynamic key_block_size=0 stats_persistent=1 partition by range (year(d)) (partition p0 values less than (2000) engine=innodb, partition p1 values less than maxvalue)
alter table t reorganize partition p1 into (partition p1 values less than (2010), partition p2 values less than maxvalue)
alter table t drop partition p0
alter table t truncate partition p1, p2
create table t2 like t
alter table t2 remove partitioning
alter table t exchange partition p1 with table t2
[mariadb] alter table t convert partition p1 to table t5
alter table t engine=innodb, add x int remove partitioning
alter table t partition by hash (id) partitions 3
alter table t coalesce partition 1
alter table t analyze partition all
alter table t auto_increment=100, comment='new', force
alter table t order by d, id
truncate table t
create table m (a int, key (a)) engine=memory
alter table m engine=InnoDB
create table ma (a int) engine=MYISAM
/*!50100 create table vc (a int) */
create table vc1 (a int /*!50100 , b int */ /*!99999 , c int */ /*M!100100 , d int */ /* , e int */ /*!50701 , f int */ /*!80000 , g int */ /*!100000 , h int */)
create table vc2 (a int) /*!40100 default charset latin1 */
-- scenario create table like
create table a (id int auto_increment primary key, p int, v varchar(5) collate utf8mb4_bin, foreign key (p) references a (id)) collate utf8mb4_bin
create table b like a
create table c (like b)
create table if not exists c (x int)
alter table b add foreign key (p) references a (id)
drop table c
[mariadb] create or replace table b (x int)
-- scenario versioned tables
[mariadb] create table a (id int primary key, x int) with system versioning
[mariadb] alter table a add y int, add z int first
[mariadb] alter table a drop system versioning
[mariadb] alter table a add system versioning
[mariadb] create table b (id int, x int, s timestamp(6) generated always as row start, e timestamp(6) generated always as row end, period for system_time (s, e), primary key (id)) with system versioning
[mariadb] create table c (id int, x int without system versioning, s timestamp(6) as row start invisible, e timestamp(6) as row end invisible, period for system_time (s, e)) with system versioning
[mariadb] create table d (id int, b date, e date, period for p (b, e), unique (id, p without overlaps))
[mariadb] create table d2 (id int, b date, e date, period for p (b, e))
-- scenario mode=ORACLE
[mariadb] create table a (a number, b number(5), c number(6,2), d varchar2(10), e raw(3), f clob, g date, h blob)
-- scenario sequences and views
[mariadb] create sequence s start with 5
create table t (a int)
create view v as select * from t
rename table v to w
drop view w
-- scenario odd spelling
CREATE/**/TABLE`t`(`a`INT,b int/* x */unsigned)ENGINE=InnoDB
alter table t add(`b c`int),add`d`int after`a`
create table 日本 (名前 varchar(10), `ключ` int, key (`ключ`))
create table 1a (1b int, b2 int, key 3c (1b))
alter table g.1a add 2ex int, add $4 int
alter table g . 1a add spaced int
create table kw (`key` int, action int, bit int, date date, time time, timestamp timestamp, text text, enum enum('enum'), no int, comment int comment 'comment', status int, type int, value int, session int, start int, end int, first int, after int, begin int, `select` int, at int, serial int, signed int, unicode int, byte int, ascii int, engine int, hash int, data int, level int, role int, user int, password int, view int)
alter table kw drop first, drop after, add column first int first, add after int after action, change type types int
alter table kw rename column end to ends, modify start int after value
[mariadb] alter table kw drop column if exists nope
-- scenario columns that keys find again
create table p (id int primary key, id2 int, unique (id2))
create table a (a int, b int, c int, d int, key (a), key ab (a, b), unique (c), unique cd (c, d))
alter table a drop column a, add column a int
alter table a drop column c, add column c int first, drop column b, add b int not null
alter table a drop column c, add column c varchar(20)
create table b (id int primary key, v int, key (v))
alter table b change id old_id int, add id int first
alter table b change v w int, add v int
alter table b drop id, add id int
alter table b rename column v to x, add v int, drop key v
create table b2 (id int auto_increment primary key, a int, key (a))
alter table b2 change id old int, add id int auto_increment first
create table c (a int, b int, key ka (a))
alter table c drop column a, change b a int
create table d (a int, b int, key ka (a), key kb (b), unique ab (a, b))
alter table d rename column a to b, rename column b to a
alter table d change a a2 int, change b a int
alter table d add b int first, drop key ab
alter table d drop column a2, rename column b to a2
create table e (a int, b int, c int, unique ab (a, b))
alter table e rename column a to z, add column a int first
alter table e rename column z to y, add column z int
alter table e modify b bigint first, change c b2 int, drop a, add A int
create table f (a varchar(30) charset latin1, b datetime, c decimal(10,2), d date, e enum('a') charset latin1, h bigint unsigned, i varchar(30) charset latin1, j decimal(20, 11), key (a), key (b), key (c), key (d), key (e), unique (h), key ii (i(10)), key (j))
alter table f drop a, add a text
alter table f drop b, add b varchar(30)
alter table f drop c, add c varchar(30)
alter table f drop d, add d blob
alter table f drop e, add e char(5)
alter table f drop h, add h varchar(30)
alter table f change i k varchar(30), add i varchar(20) first
alter table f drop j, add j varbinary(30)
create table k (a varchar(30) charset utf8mb4, u varbinary(10), t text, key (a), unique (u), key (t(7)))
alter table k drop a, add a varchar(30) charset latin1, drop u, add u varchar(10) charset utf8mb4, drop t, add t varchar(20) charset latin1
alter table k drop a, add a varchar(31)
alter table k drop t, add t varchar(7)
[mysql] create table g1 (a int, b int, unique ab (a, b))
[mysql] alter table g1 drop a, add a int, drop b
create table v (a int, b int as (a + 1), c int, key (b))
alter table v drop b, add b int
create table fk (a int, b int, key (b), key (a), foreign key (a) references p (id2))
[mariadb] alter table fk change a olda int, add a int first
alter table fk change b oldb int, add b int
-- scenario default=mysql parents are in the child's schema
create table g.p (id int primary key, id2 int, unique (id2))
create table g.c (a int, b int)
alter table g.c add foreign key (a) references p (id)
alter table g.c add constraint named foreign key (b) references p (id2) on delete cascade
create table g.c2 (a int, foreign key (a) references p (id))
create table g.c3 (a int references p (id))
alter table g.c add x int references p (id)
alter table g.c drop foreign key named, add foreign key (b) references g.p (id2)
create table g.l like g.c
alter table g.l add foreign key (b) references l (a)
-- scenario names that are words of the grammar
create table k1 (type int, key type (type))
create table k2 (type int, unique type (type), index type2 using btree (type))
create table k3 (a int, key using btree (a), key type type btree (a), key (a) using btree, key x type btree (a))
create table k4 (a int, key type using btree (a) key_block_size=4)
create table k5 (a int, key comment (a), key algorithm (a), key `lock` (a), key first (a), key after (a), key period (a), key `system` (a), key vector (a), key status (a), key value (a), key visible (a), key ignored (a), key invisible (a))
create table k6 (a int, unique vector (a), unique key comment using btree (a))
create table k7 (type int, primary key type (type))
create table k8 (type int, primary key type type btree (type))
create table k9 (type varchar(3), fulltext type (type))
create table k10 (type int, no int, action int, constraint type unique type (type), constraint action unique action (no))
create table k11 (type int, key (type), key type_3 (type), unique using hash (type))
create table o (type int)
alter table o add index type (type)
alter table o add key type (type)
create index type2 type btree on o (type)
create index type3 using btree on o (type) using btree
alter table o drop index type, add unique type type btree (type)
alter table o rename index type to comment
alter table o rename key comment to `key`
alter table o add column comment int comment 'x', add algorithm int, add lock_ int
alter table o add unique index_name using btree (comment), add key comment using btree (comment) comment 'comment', add index using btree (comment)
[mysql] alter table o add period int
[mariadb] alter table o add column period int, add column `system` int
alter table o add vector int
alter table o add `partition` int, add first int, add after int first
alter table o drop column first, drop after, drop vector
alter table o change comment comments int, modify algorithm bigint after comments
alter table o modify algorithm bigint first
alter table o alter algorithm set default 3
alter table o rename column algorithm to comment
alter table o add key period (period), add key (period)
create table w (period int, vector int, comment int, without int, columns int, partitions int, subpartition int, history int, overlaps int, transaction int, visible int, invisible int, ignored int, online int, offline int, encryption int, tablespace int, storage int)
[mariadb] create table w2 (system int, versioning int)
alter table w alter period set default 1, alter visible set default 2, modify invisible int invisible
alter table w drop period, drop visible, drop history
create table x (a int, constraint period check (a > 0), constraint type unique (a))
create table y (vector int, key vector (vector), unique (vector))
alter table y alter index vector invisible
create table z (period int, key period (period), foreign key period (period) references y (vector))
alter table z add foreign key type (period) references y (vector)
-- scenario what is there already
[mariadb] create table t (a int, c int, key c (c))
[mariadb] alter table t add unique if not exists (c)
[mariadb] alter table t add key if not exists (c, a)
[mariadb] alter table t add key if not exists (a), add key if not exists (a)
[mariadb] alter table t add key if not exists (a), add key if not exists (a, c)
[mariadb] alter table t add primary key if not exists (a)
[mariadb] alter table t add primary key if not exists (c)
[mariadb] alter table t add unique if not exists (c, a), add key if not exists yy (a), add key if not exists yy (c)
[mariadb] create table t2 (a int, b int)
[mariadb] alter table t2 add column if not exists b int unique
[mariadb] alter table t2 add column if not exists b int unique
[mariadb] alter table t2 add column if not exists z int unique, add column if not exists a int unique
[mariadb] alter table t2 add column if not exists (q int, key q (a), unique (q))
[mariadb] alter table t2 add column if not exists (q int, unique (q), z int unique, y int unique)
[mariadb] create table t4 (a int not null, b int not null, primary key (a), key kb (b))
[mariadb] alter table t4 drop primary key, add primary key if not exists (b)
[mariadb] alter table t4 drop key kb, add key if not exists kb (a)
[mariadb] alter table t4 add key if not exists (a), add unique if not exists (a)
[mariadb] alter table t4 add key if not exists y (a), add key if not exists (a)
[mariadb] create table t5 (a int, b int, key x (a))
[mariadb] alter table t5 rename key x to y, add key if not exists x (b)
[mariadb] alter table t5 add b2 int, add key k1 (b), add key if not exists k1 (b2)
[mariadb] alter table t5 add key (b2), add key if not exists (b2)
[mariadb] alter table t5 add key if not exists (b2, a)
[mariadb] create table t6 (a int, b int unique, c int, key (a))
[mariadb] create table t6c (a int, b int, key b_2 (b))
[mariadb] alter table t6c add foreign key if not exists (a) references t6 (b)
[mariadb] alter table t6c add foreign key if not exists (a) references t6 (b)
[mariadb] alter table t6c add foreign key if not exists a (a) references t6 (b)
[mariadb] alter table t6c add foreign key if not exists a (b) references t6 (b)
[mariadb] alter table t6c add foreign key if not exists (a) references t6 (b)
[mariadb] alter table t6c add foreign key if not exists t6c_ibfk_1 (a) references t6 (b)
[mariadb] alter table t6c add constraint fk foreign key if not exists (b) references t6 (b)
[mariadb] alter table t6c add constraint fk foreign key if not exists (b) references t6 (b)
[mariadb] create unique index if not exists a on t6 (c)
