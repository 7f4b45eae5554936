internal import Settings

/// The schemas of the API's bodies. A test compares them with what the server says.
enum APISchemas {
    /// A reference to one of them.
    static func reference(_ name: String) -> JSONValue {
        .object(["$ref": .text("#/components/schemas/\(name)")])
    }

    /// The keys that an object of a schema may have.
    static func properties(_ name: String) -> [String] {
        guard case .object(let properties)? = all[name]?["properties"] else { return [] }
        return Array(properties.keys)
    }

    static let all: [String: JSONValue] = [
        "Problem": object(
            ["code": text, "message": text, "remedy": text], required: ["code", "message"]),
        "Done": object(["message": text, "freed_bytes": integer], required: ["message"]),
        "TransferRequest": object(["worker_name": text], required: ["worker_name"]),
        "SourceListRequest": object(["source_name_list": list(text)]),
        "RelayRequest": object(["worker_name": text]),
        "RelayPurgeRequest": object(
            ["relay_binlog_name": text, "force": flag], required: ["relay_binlog_name"]),
        "Source": object(
            [
                "source_name": text, "enable": flag, "worker": text, "epoch": integer,
                "relay_workers": list(text), "task_name_list": list(text),
                "settings": reference("SourceSettings"), "revision": integer,
                "status_list": list(reference("SourceStatus")),
            ], required: ["source_name", "enable", "relay_workers", "task_name_list", "revision"]),
        "SourceList": page("Source"),
        "SourceStatus": object(
            [
                "source_name": text, "worker_name": text, "is_bound": flag,
                "relay": reference("RelayLog"), "error_msg": text,
            ], required: ["source_name", "worker_name", "is_bound"]),
        "SourceStatusList": page("SourceStatus"),
        "Task": object(
            [
                "name": text, "source_name_list": list(text), "stages": list(reference("Stage")),
                "settings": reference("TaskSettings"), "revision": integer,
                "status_list": list(reference("Subtask")),
            ], required: ["name", "source_name_list", "stages", "revision"]),
        "TaskList": page("Task"),
        "Stage": object(
            ["source_name": text, "stage": words(["running", "paused", "stopped"])],
            required: ["source_name", "stage"]),
        "Subtask": object(
            [
                "name": text, "source_name": text, "wanted": text, "worker_name": text,
                "stage": words([
                    "New", "Running", "Pausing", "Paused", "Stopped", "Finished", "Unknown",
                ]),
                "unit": words(["Check", "Copy", "Sync", "Verify", "Dump", "Load"]),
                "status": reference("SubtaskStatus"), "error_msg": text,
            ], required: ["name", "source_name", "wanted", "stage"]),
        "SubtaskList": page("Subtask"),
        "SubtaskStatus": object(
            [
                "task": text, "source": text, "stage": text, "unit": text, "epoch": integer,
                "attempts": integer, "progress": anything,
                "error": reference("SubtaskError"), "verification": reference("Verification"),
            ], required: ["task", "source", "stage", "unit", "epoch", "attempts"]),
        "Verification": object(
            [
                "state": words([
                    "waiting", "running", "equal", "different", "undecided", "failed",
                ]),
                "begun": number, "ended": number, "tables_total": integer, "tables_done": integer,
                "rows": integer, "differing_rows": integer,
                "tables": list(
                    object(
                        [
                            "name": text, "verdict": words(["different", "undecided"]),
                            "rows": integer, "differing_rows": integer, "notes": list(text),
                        ], required: ["name", "verdict", "rows", "differing_rows", "notes"])),
                "reason": text, "tables_left_out": integer, "notes": list(text),
            ],
            required: [
                "state", "begun", "tables_total", "tables_done", "rows", "differing_rows", "tables",
            ]),
        "Check": object(
            [
                "source_name": text, "worker_name": text, "is_passed": flag,
                "results": list(
                    object(
                        [
                            "name": text, "verdict": words(["ok", "warning", "error", "skipped"]),
                            "message": text, "remedy": text, "is_ignored": flag,
                        ], required: ["name", "verdict", "message", "remedy", "is_ignored"])),
                "error": reference("SubtaskError"),
            ], required: ["source_name", "worker_name", "is_passed", "results"]),
        "CheckList": page("Check"),
        "DecisionRequest": object(
            [
                "decision": words(["skip", "replace", "inject", "revert"]),
                "statements": list(text), "source_name_list": list(text), "position": text,
            ], required: ["decision"]),
        "Statement": object(
            [
                "name": text, "source_name": text, "position": text, "statement": text,
                "reason": text, "decision": words(["skip", "replace", "inject"]),
                "statements": list(text),
            ], required: ["name", "source_name", "statements"]),
        "StatementList": page("Statement"),
        "ShapeRequest": object(
            [
                "schema_name": text, "table_name": text, "sql_content": text,
                "from": words(["source", "target"]), "rows_are_there": flag, "position": text,
            ], required: ["schema_name", "table_name"]),
        "Shapes": object(
            [
                "name": text, "source_name": text, "position": text,
                "tables": list(
                    object(
                        [
                            "schema_name": text, "table_name": text, "schema_create_sql": text,
                            "column_count": integer,
                        ],
                        required: [
                            "schema_name", "table_name", "schema_create_sql", "column_count",
                        ])),
            ], required: ["name", "source_name", "tables"]),
        "ShapesList": page("Shapes"),
        "Store": object(["endpoint_list": list(text)], required: ["endpoint_list"]),
        "SubtaskError": object(
            [
                "code": text, "message": text, "remedy": text, "is_retryable": flag,
                "time": number, "position": text,
            ], required: ["code", "message", "is_retryable", "time"]),
        "RelayLog": object(
            [
                "state": text, "reason": text, "bytes": integer, "limit_bytes": integer,
                "position": text, "is_copy": flag,
            ], required: ["state", "bytes"]),
        "WorkerStatus": object(
            [
                "name": text, "subtasks": list(reference("SubtaskStatus")),
                "relays": list(
                    object(
                        ["source": text, "log": reference("RelayLog")], required: ["source", "log"])
                ),
            ], required: ["name", "subtasks", "relays"]),
        "Worker": object(
            [
                "name": text, "addr": text, "is_leader": flag,
                "state": words(["alive", "draining", "leaving", "gone"]),
                "bound_source_name_list": list(text), "relay_source_name_list": list(text),
                "is_reachable": flag, "error_msg": text,
            ],
            required: [
                "name", "is_leader", "state", "bound_source_name_list", "relay_source_name_list",
            ]),
        "WorkerList": page("Worker"),
        "Cluster": object(
            [
                "leader": text, "answered_by": text, "version": text, "is_store_available": flag,
                "revision": integer, "workers": list(reference("Worker")),
                "voters": list(
                    object(["name": text, "is_learner": flag], required: ["name", "is_learner"])),
                "source_count": integer, "unbound_source_count": integer, "task_count": integer,
                "unreadable_keys": list(text),
            ],
            required: [
                "answered_by", "version", "is_store_available", "revision", "workers", "voters",
                "source_count", "unbound_source_count", "task_count", "unreadable_keys",
            ]),
        "SourceSettings": .object([
            "oneOf": .list([reference("ShortSource"), reference("SourceFile")])
        ]),
        "SourceFile": file(SourceSettings.filePaths, required: ["from"]),
        "ShortSource": object(
            [
                "source-id": text, "source": reference("Server"), "relay": flag,
                "relay-dir": text, "relay-limit": size, "relay-replicas": integer,
                "relay-workers": list(text), "server-id": integer,
                "workers": list(text), "enable": flag,
            ], required: ["source"]),
        "TaskSettings": .object([
            "oneOf": .list([reference("ShortTask"), reference("TaskFile")])
        ]),
        "TaskFile": file(
            TaskSettings.filePaths, required: ["task-mode", "target-database", "mysql-instances"]),
        "ShortTask": object(
            [
                "name": text, "target": reference("Server"), "sources": oneOrMore,
                "tables": oneOrMore, "exclude": oneOrMore, "meta-schema": text,
                "mode": text, "start-position": text, "start-gtid": text, "start-time": text,
                "adopt": text, "adopt-meta": text, "adopt-wait": text, "lanes": integer,
                "readers": integer, "memory": size, "chunk-rows": integer, "chunk-bytes": size,
                "until": text, "into-existing": flag, "safe-mode": flag, "take-over": text,
                "finish": flag, "ignore-checks": oneOrMore,
            ], required: ["target", "sources", "tables"]),
        "Server": .object([
            "oneOf": .list([
                .object(["type": "string", "description": "mysql://user@host:port"]),
                object([
                    "url": text, "host": text, "port": integer, "socket": text, "user": text,
                    "password": .object([
                        "type": "string", "writeOnly": .flag(true),
                        "description": "No answer has it.",
                    ]),
                    "tls": text, "tls-ca": text, "tls-cert": text, "tls-key": text,
                    "compress": flag, "connect-timeout": text,
                ]),
            ])
        ]),
    ]

    // MARK: Shapes

    private static let text: JSONValue = .object(["type": "string"])
    private static let flag: JSONValue = .object(["type": "boolean"])
    private static let number: JSONValue = .object(["type": "number"])
    private static let integer: JSONValue = .object(["type": "integer", "format": "int64"])
    private static let anything: JSONValue = .object(["type": "object"])
    private static let size: JSONValue = .object([
        "oneOf": .list([text, integer]), "description": "A number of bytes, as 128MiB.",
    ])
    private static let oneOrMore: JSONValue = .object(["oneOf": .list([text, list(text)])])

    /// A file in DM's words, from the paths of its keys: `routes.*.target-schema`. The kinds of
    /// values are told by docs/task-files.md.
    private static func file(_ paths: [String], required: [String] = []) -> JSONValue {
        var inner: [String: [String]] = [:]
        for path in paths {
            let parts = path.split(separator: ".", maxSplits: 1).map { String($0) }
            inner[parts[0], default: []] += parts.dropFirst()
        }
        var properties: [String: JSONValue] = [:]
        for (name, paths) in inner {
            if name.hasSuffix("[]") {
                properties[String(name.dropLast(2))] = list(file(paths))
            } else if inner[name + "[]"] != nil {
                continue
            } else if paths.contains(where: { $0.hasPrefix("*.") }) {
                properties[name] = .object([
                    "type": "object",
                    "additionalProperties": file(paths.map { String($0.dropFirst(2)) }),
                ])
            } else {
                properties[name] = paths.isEmpty ? .object([:]) : file(paths)
            }
        }
        properties["password-encrypted"] = nil
        properties["password-file"] = nil
        if properties["password"] != nil {
            properties["password"] = .object([
                "type": "string", "writeOnly": .flag(true), "description": "No answer has it.",
            ])
        }
        return object(properties, required: required)
    }

    private static func list(_ element: JSONValue) -> JSONValue {
        .object(["type": "array", "items": element])
    }

    private static func words(_ words: [String]) -> JSONValue {
        .object(["type": "string", "enum": .list(words.map { .text($0) })])
    }

    private static func page(_ schema: String) -> JSONValue {
        object(
            ["total": integer, "data": list(reference(schema))], required: ["total", "data"])
    }

    private static func object(
        _ properties: [String: JSONValue], required: [String] = []
    ) -> JSONValue {
        var out: [String: JSONValue] = ["type": "object", "properties": .object(properties)]
        if !required.isEmpty { out["required"] = .list(required.map { .text($0) }) }
        return .object(out)
    }
}
