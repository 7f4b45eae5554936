public import Settings
import Testing

/// Each key of DM's files, changed: a key that is read and dropped, or kept and not stored, is found.
@Suite("Every key of DM's files")
struct EveryKeyTests {
    private let secrets = SecretCipher()

    private static let task: JSONValue = [
        "name": "t", "task-mode": "all",
        "target-database": ["host": "h", "user": "u", "security": ["ssl-ca": "ca"]],
        "mysql-instances": [
            [
                "source-id": "s", "filter-rules": ["a"], "route-rules": ["a"],
                "expression-filters": ["a"], "block-allow-list": "a", "mydumper-config-name": "a",
                "loader-config-name": "a", "syncer-config-name": "a",
                "validator-config-name": "a",
            ]
        ],
        "routes": ["a": ["schema-pattern": "s", "target-schema": "t"]],
        "filters": ["a": ["schema-pattern": "s", "action": "Do"]],
        "expression-filter": [
            "a": ["schema": "s", "table": "t", "insert-value-expr": "a = 1"]
        ],
        "block-allow-list": ["a": [:]], "mydumpers": ["a": [:]], "loaders": ["a": [:]],
        "syncers": ["a": [:]], "validators": ["a": [:]],
    ]

    /// A path's other value; with `beside`, what has to change with it.
    struct Change: CustomTestStringConvertible {
        let path: String
        let value: JSONValue
        var beside: [String: JSONValue] = [:]
        var testDescription: String { path }

        init(_ path: String, _ value: JSONValue, _ beside: [String: JSONValue] = [:]) {
            self.path = path
            self.value = value
            self.beside = beside
        }
    }

    private static let instance = "mysql-instances[]."
    private static let taskChanges: [Change] =
        [
            .init("name", "other"), .init("task-mode", "full"), .init("is-sharding", true),
            .init("shard-mode", "optimistic"),
            .init("strict-optimistic-shard-mode", true, ["shard-mode": "optimistic"]),
            .init("ignore-checking-items", ["version", "all"]), .init("meta-schema", "m"),
            .init("enable-heartbeat", true), .init("heartbeat-update-interval", 7),
            .init("heartbeat-report-interval", 7), .init("timezone", "+08:00"),
            .init("case-sensitive", true), .init("collation_compatible", "strict"),
            .init("online-ddl", false), .init("shadow-table-rules", ["^x_(.+)$"]),
            .init("trash-table-rules", ["^x_(.+)$"]), .init("online-ddl-scheme", "pt"),
            .init("clean-dump-file", false), .init("ansi-quotes", true), .init("remove-meta", true),
            .init("experimental", ["async-checkpoint-flush": true]),
            .init("experimental.async-checkpoint-flush", true),
            .init("target-database", ["host": "other", "user": "u"]),
            .init("target-database.host", "other"), .init("target-database.port", 3307),
            .init("target-database.user", "other"), .init("target-database.password", "pw"),
            .init("target-database.max-allowed-packet", 1024),
            .init("target-database.session", ["sql_mode": "ANSI"]),
            .init("target-database.security", ["ssl-ca": "other"]),
            .init("target-database.security.ssl-ca", "other"),
            .init(
                "target-database.security.ssl-cert", "c", ["target-database.security.ssl-key": "k"]),
            .init(
                "target-database.security.ssl-key", "k", ["target-database.security.ssl-cert": "c"]),
            .init("target-database.security.cert-allowed-cn", ["cn"]),
            .init("target-database.socket", "/run/s", ["target-database.host": .null]),
            .init("target-database.tls", "required"), .init("target-database.compress", true),
            .init("target-database.connect-timeout", "20s"),
            .init("mysql-instances[].source-id", "other"),
            .init("mysql-instances[].meta", ["binlog-name": "bin.000002"]),
            .init("mysql-instances[].meta.binlog-name", "bin.000002"),
            .init("mysql-instances[].meta.binlog-pos", 9, [instance + "meta.binlog-name": "b.01"]),
            .init("mysql-instances[].meta.binlog-gtid", "0-1-100"),
            .init("mysql-instances[].mydumper-thread", 9),
            .init("mysql-instances[].loader-thread", 9),
            .init("mysql-instances[].syncer-thread", 9),
            .init("routes.*.schema-pattern", "x"), .init("routes.*.table-pattern", "x"),
            .init("routes.*.target-schema", "x"), .init("routes.*.target-table", "x"),
            .init("filters.*.schema-pattern", "x"), .init("filters.*.table-pattern", "x"),
            .init("filters.*.events", ["drop table"]), .init("filters.*.sql-pattern", ["^DROP"]),
            .init("filters.*.action", "Error"),
            .init("expression-filter.*.schema", "x"), .init("expression-filter.*.table", "x"),
            .init("expression-filter.*.insert-value-expr", "b = 2"),
            .init("block-allow-list.*.do-dbs", ["x"]),
            .init("block-allow-list.*.ignore-dbs", ["x"]),
            .init("mydumpers.*.mydumper-path", "x"), .init("mydumpers.*.threads", 9),
            .init("mydumpers.*.chunk-filesize", "128"), .init("mydumpers.*.statement-size", 9),
            .init("mydumpers.*.rows", 9), .init("mydumpers.*.where", "a = 1"),
            .init("mydumpers.*.skip-tz-utc", false),
            .init("mydumpers.*.extra-args", "--consistency none"),
            .init("loaders.*.pool-size", 9), .init("loaders.*.dir", "x"),
            .init("loaders.*.sorting-dir-physical", "x"),
            .init("loaders.*.import-mode", "physical"),
            .init("loaders.*.on-duplicate", "replace"),
            .init("loaders.*.on-duplicate-logical", "replace"),
            .init("loaders.*.on-duplicate-physical", "manual"),
            .init("loaders.*.disk-quota-physical", "1GB"),
            .init("loaders.*.checksum-physical", "off"),
            .init("loaders.*.analyze", "off"), .init("loaders.*.range-concurrency", 9),
            .init("loaders.*.compress-kv-pairs", "gz"), .init("loaders.*.pd-addr", "x:1"),
            .init("syncers.*.meta-file", "x"), .init("syncers.*.worker-count", 9),
            .init("syncers.*.batch", 9), .init("syncers.*.queue-size", 9),
            .init("syncers.*.checkpoint-flush-interval", 9), .init("syncers.*.compact", true),
            .init("syncers.*.multiple-rows", true), .init("syncers.*.max-retry", 9),
            .init("syncers.*.auto-fix-gtid", true), .init("syncers.*.enable-gtid", false),
            .init("syncers.*.disable-detect", true), .init("syncers.*.enable-ansi-quotes", true),
            .init("syncers.*.safe-mode", true), .init("syncers.*.safe-mode-duration", "0s"),
            .init("validators.*.mode", "fast"), .init("validators.*.worker-count", 9),
            .init("validators.*.validate-interval", "9s"),
            .init("validators.*.check-interval", "9s"),
            .init("validators.*.row-error-delay", "1h30m"),
            .init("validators.*.meta-flush-interval", "9s"),
            .init("validators.*.batch-query-size", 9),
            .init("validators.*.max-pending-row-size", "9m"),
            .init("validators.*.max-pending-row-count", 9),
            .init("memory", "64MiB"), .init("chunk-bytes", "1MiB"), .init("until", "caught-up"),
            .init("start-time", "2026-05-01 10:00:00", ["task-mode": "incremental"]),
            .init("adopt", true), .init("adopt-wait", "40s", ["adopt": true]),
            .init("into-existing", true), .init("take-over", "big"), .init("finish", true),
            .init("ignore-checks", ["gtid"]),
        ] + named + inner + inline

    /// Blocks by name: a second one that is used.
    private static let named: [Change] = [
        .init(
            "routes", ["a": ["schema-pattern": "x", "target-schema": "y"]]),
        .init("filters", ["a": ["schema-pattern": "x", "action": "Ignore"]]),
        .init("expression-filter", ["a": ["schema": "x", "table": "t", "delete-value-expr": "1"]]),
        .init("block-allow-list", ["a": ["do-dbs": ["x"]]]),
        .init("mydumpers", ["a": ["threads": 5]]), .init("loaders", ["a": ["dir": "x"]]),
        .init("syncers", ["a": ["batch": 5]]), .init("validators", ["a": ["mode": "full"]]),
        .init("mysql-instances", [["source-id": "s"]], noBlocks),
        .init("mysql-instances[].filter-rules", [], ["filters": .null]),
        .init("mysql-instances[].route-rules", [], ["routes": .null]),
        .init("mysql-instances[].expression-filters", [], ["expression-filter": .null]),
        .init("mysql-instances[].block-allow-list", .null, ["block-allow-list": .null]),
        .init("mysql-instances[].mydumper-config-name", .null, ["mydumpers": .null]),
        .init("mysql-instances[].loader-config-name", .null, ["loaders": .null]),
        .init("mysql-instances[].syncer-config-name", .null, ["syncers": .null]),
        .init("mysql-instances[].validator-config-name", .null, ["validators": .null]),
    ]
    private static let noBlocks: [String: JSONValue] = [
        "routes": .null, "filters": .null, "expression-filter": .null, "block-allow-list": .null,
        "mydumpers": .null, "loaders": .null, "syncers": .null, "validators": .null,
    ]

    /// Blocks and lists inside of the named ones.
    private static let inner: [Change] =
        ["table", "schema", "source"].flatMap { kind -> [Change] in
            let both: JSONValue = .object([
                "\(kind)-regexp": "x_(.+)", "target-column": "c",
            ])
            return [
                .init("routes.*.extract-\(kind)", both),
                .init(
                    "routes.*.extract-\(kind).\(kind)-regexp", "x_(.+)",
                    ["routes.*.extract-\(kind).target-column": "c"]),
                .init(
                    "routes.*.extract-\(kind).target-column", "c",
                    ["routes.*.extract-\(kind).\(kind)-regexp": "x_(.+)"]),
            ]
        }
        + ["do-tables", "ignore-tables"].flatMap { list -> [Change] in
            let path = "block-allow-list.*.\(list)"
            return [
                .init(path, [["db-name": "s", "tbl-name": "t"]]),
                .init(path + "[].db-name", "s", [path + "[].tbl-name": "t"]),
                .init(path + "[].tbl-name", "t", [path + "[].db-name": "s"]),
            ]
        }
        + ["update-old-value-expr", "update-new-value-expr", "delete-value-expr"].map {
            .init(
                "expression-filter.*.\($0)", "c = 1",
                ["expression-filter.*.insert-value-expr": .null])
        }

    /// The units' blocks again, inside of an instance.
    private static var inline: [Change] {
        [("mydumper", "mydumpers"), ("loader", "loaders"), ("syncer", "syncers")].flatMap {
            inline, block -> [Change] in
            let path = instance + inline
            let beside: [String: JSONValue] = [
                instance + inline + "-config-name": .null, block: .null,
            ]
            let key = ["mydumpers": "rows", "loaders": "dir", "syncers": "batch"][block] ?? ""
            return [.init(path, .object([key: "5"]), beside)]
                + unitChanges(block).map { .init("\(path).\($0.key)", $0.value, beside) }
        }
    }
    private static func unitChanges(_ block: String) -> [(key: String, value: JSONValue)] {
        unitTable.filter { $0.0 == block }.map { ($0.1, $0.2) }
    }
    private static let unitTable: [(String, String, JSONValue)] = [
        ("mydumpers", "mydumper-path", "x"), ("mydumpers", "threads", 9),
        ("mydumpers", "chunk-filesize", "128"), ("mydumpers", "statement-size", 9),
        ("mydumpers", "rows", 9), ("mydumpers", "where", "a = 1"),
        ("mydumpers", "skip-tz-utc", false), ("mydumpers", "extra-args", "-r 9"),
        ("loaders", "pool-size", 9), ("loaders", "dir", "x"),
        ("loaders", "sorting-dir-physical", "x"), ("loaders", "import-mode", "sql"),
        ("loaders", "on-duplicate", "replace"), ("loaders", "on-duplicate-logical", "error"),
        ("loaders", "on-duplicate-physical", "manual"), ("loaders", "disk-quota-physical", 9),
        ("loaders", "checksum-physical", "off"), ("loaders", "analyze", "off"),
        ("loaders", "range-concurrency", 9), ("loaders", "compress-kv-pairs", "gz"),
        ("loaders", "pd-addr", "x"), ("syncers", "meta-file", "x"), ("syncers", "worker-count", 9),
        ("syncers", "batch", 9), ("syncers", "queue-size", 9),
        ("syncers", "checkpoint-flush-interval", "9s"), ("syncers", "compact", true),
        ("syncers", "multiple-rows", true), ("syncers", "max-retry", 9),
        ("syncers", "auto-fix-gtid", true), ("syncers", "enable-gtid", true),
        ("syncers", "disable-detect", true), ("syncers", "enable-ansi-quotes", true),
        ("syncers", "safe-mode", true), ("syncers", "safe-mode-duration", "9s"),
    ]

    /// What a file has for passwords that no record has.
    private static let personal: Set = ["password-file", "password-encrypted"]

    private static func isTested(_ path: String, _ changes: [Change]) -> Bool {
        changes.contains { $0.path == path }
            || personal.contains(String(path.split(separator: ".").last ?? ""))
    }

    @Test("no key of the files is left out here")
    func complete() {
        #expect(TaskSettings.filePaths.filter { !Self.isTested($0, Self.taskChanges) } == [])
        #expect(SourceSettings.filePaths.filter { !Self.isTested($0, Self.sourceChanges) } == [])
        #expect(TaskSettings.filePaths.count > 180 && SourceSettings.filePaths.count > 40)
    }

    @Test(
        "a changed key of a task changes the task, and survives the store", arguments: taskChanges)
    func taskKey(_ change: Change) throws {
        func read(_ value: JSONValue) throws -> TaskSettings {
            try TaskSettings(Array(value.document.utf8), .json, file: "request")
        }
        var base = Self.task
        for (path, value) in change.beside { base.set(path, value) }
        var changed = base
        changed.set(change.path, change.value)
        let settings = try read(changed)
        // Beside a key that only makes sense with another, the base may not be readable alone.
        if let before = try? read(base) {
            #expect(settings != before)
        } else {
            #expect(settings != (try read(Self.task)))
        }
        #expect(try read(settings.sent()) == settings)
        let stored = try settings.stored(secrets, key: "k")
        #expect(try TaskSettings(stored: stored, secrets, key: "k") == settings)
        #expect(TaskSettings.sources(stored: stored) == settings.sources)
    }

    private static let source: JSONValue = [
        "source-id": "s", "from": ["host": "h", "user": "u", "security": ["ssl-ca": "ca"]],
        "filters": [["schema-pattern": "s", "action": "Ignore"]],
    ]

    private static let sourceChanges: [Change] = [
        .init("enable", false), .init("source-id", "other"), .init("enable-gtid", true),
        .init("auto-fix-gtid", true), .init("relay-dir", "/r"), .init("meta-dir", "x"),
        .init("charset", "x"), .init("tracer", ["enable": "true"]), .init("flavor", "mariadb"),
        .init("enable-relay", true), .init("relay-binlog-name", "x"),
        .init("relay-binlog-gtid", "x"), .init("server-id", 77), .init("case-sensitive", false),
        .init("filters", []), .init("filters[].schema-pattern", "x"),
        .init("filters[].table-pattern", "x"), .init("filters[].events", ["insert"]),
        .init("filters[].sql-pattern", ["x"]), .init("filters[].action", "Do"),
        .init("from", ["host": "x", "user": "u"]), .init("from.host", "x"), .init("from.port", 1),
        .init("from.user", "x"), .init("from.password", "x"),
        .init("from.max-allowed-packet", 1024), .init("from.session", ["a": "1"]),
        .init("from.security", [:]), .init("from.security.ssl-ca", "x"),
        .init("from.security.ssl-cert", "c", ["from.security.ssl-key": "k"]),
        .init("from.security.ssl-key", "k", ["from.security.ssl-cert": "c"]),
        .init("from.security.cert-allowed-cn", ["x"]),
        .init("from.socket", "/s", ["from.host": .null]), .init("from.tls", "verify-identity"),
        .init("from.compress", true), .init("from.connect-timeout", "1m"),
        .init("purge", ["interval": 9]), .init("purge.interval", 9), .init("purge.expires", 9),
        .init("purge.remain-space", 9), .init("checker", ["check-enable": false]),
        .init("checker.check-enable", false), .init("checker.backoff-rollback", "9m"),
        .init("checker.backoff-max", "9m"), .init("relay-limit", "1GiB"),
        .init("relay-replicas", 2), .init("relay-workers", ["w2"]), .init("workers", ["w1"]),
    ]

    @Test(
        "a changed key of a source changes the source, and survives the store",
        arguments: sourceChanges)
    func sourceKey(_ change: Change) throws {
        func read(_ value: JSONValue) throws -> SourceSettings {
            try SourceSettings(Array(value.document.utf8), .json, file: "request")
        }
        var changed = Self.source
        for (path, value) in change.beside { changed.set(path, value) }
        changed.set(change.path, change.value)
        let settings = try read(changed)
        #expect(settings != (try read(Self.source)))
        #expect(try read(settings.sent()) == settings)
        // The record beside the text has these.
        var stored = settings
        stored.allowedWorkers = nil
        stored.relayReplicas = 1
        stored.relayWorkers = []
        stored.isEnabled = true
        #expect(
            try SourceSettings(stored: settings.stored(secrets, key: "k"), secrets, key: "k")
                == stored)
    }
}

extension JSONValue {
    /// Puts a value at a path: `[]` is the first of a list, `*` the first of named blocks; null
    /// removes.
    mutating func set(_ path: String, _ value: JSONValue) {
        set(path.replacing("[]", with: ".0").split(separator: ".").map { String($0) }[...], value)
    }

    private mutating func set(_ path: ArraySlice<String>, _ value: JSONValue) {
        guard let key = path.first else { return self = value }
        if key == "0" {
            var list: [JSONValue] = if case .list(let list) = self { list } else { [] }
            if list.isEmpty { list = [.object([:])] }
            list[0].set(path.dropFirst(), value)
            self = .list(list)
            return
        }
        var object: [String: JSONValue] = if case .object(let object) = self { object } else { [:] }
        let name = key == "*" ? "a" : key
        var inner = object[name] ?? .object([:])
        inner.set(path.dropFirst(), value)
        object[name] = inner == .null ? nil : inner
        self = .object(object)
    }
}

// Literals, so that files can be written down here.

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    /// An object.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { $1 })
    }
    /// A list.
    public init(arrayLiteral elements: JSONValue...) { self = .list(elements) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A flag.
    public init(booleanLiteral value: Bool) { self = .flag(value) }
}
