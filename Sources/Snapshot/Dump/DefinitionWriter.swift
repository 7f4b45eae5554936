internal import DumpFiles
internal import MySQLClient
internal import MySQLCore
internal import MySQLSyntax

/// Writes definitions in the form that loaders which go by lines read, too: each statement ends with
/// a semicolon at the end of a line, and none has one there inside.
struct DefinitionWriter {
    let folder: DumpFolder
    let compression: DumpCompression

    /// What files begin with: literals are bytes, times are in UTC.
    static let head = """
        /*!40101 SET NAMES binary*/;
        /*!40014 SET FOREIGN_KEY_CHECKS=0*/;
        /*!40103 SET TIME_ZONE='+00:00' */;

        """

    /// A statement's text, without a semicolon at the end of a line.
    ///
    /// - Parameter mode: the `sql_mode` that the text is read in.
    static func inLines(_ text: String, _ what: String, mode: String? = nil) throws -> String {
        let escapes = !SQLMode(text: mode ?? "").contains(.noBackslashEscapes)
        guard let bytes = StatementText.inLines(Array(text.utf8), escapes: escapes) else {
            throw SnapshotError.unsupported(
                object: what,
                detail: "its definition has a semicolon at a line's end inside of quotes, which "
                    + "loaders would take for the end of a statement; leave it out (--exclude)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a file.
    func write(_ name: String, _ parts: [String]) throws {
        let file = try FileInMaking(folder, name, compression)
        var bytes = ByteBuffer(capacity: 4096)
        for part in parts { bytes.append(part) }
        try file.append(bytes.bytes)
        _ = try file.finish()
    }

    /// Writes a sequence as a table with one row, which is what loaders know. It is as it is now:
    /// ahead of the rows that took their numbers from it, never behind.
    func write(sequence: TableName, _ source: Connection) throws {
        guard
            let create = try source.rows("SHOW CREATE TABLE \(sequence.quoted)").first?[1],
            let row = try source.rows("SELECT * FROM \(sequence.quoted)").first
        else { throw SnapshotError.tableMissing(sequence) }
        let statement = try Self.inLines(create, "sequence \(sequence)")
        try write(
            DumpFileName.table(sequence.schema, sequence.name), [Self.head, statement, ";\n"])
        let values = row.map { $0 ?? "NULL" }.joined(separator: ",")
        try write(
            DumpFileName.rows(sequence.schema, sequence.name, part: 0),
            [
                Self.head,
                "INSERT INTO \(quoteIdentifier(sequence.name)) VALUES\n(\(values));\n",
            ])
    }

    /// Writes views, routines, triggers and events.
    func write(_ objects: [DumpObject]) throws {
        for view in objects where view.kind == .view {
            let (schema, name) = (view.name.schema, view.name.name)
            let quoted = quoteIdentifier(name)
            // A stand-in, so that views over views can be created in any order.
            let columns = view.columns.map { "\(quoteIdentifier($0)) int" }
            try write(
                DumpFileName.table(schema, name),
                [
                    "/*!40101 SET NAMES binary*/;\nCREATE TABLE \(quoted)(\n",
                    columns.joined(separator: ",\n"), "\n)ENGINE=MyISAM;\n",
                ])
            try write(
                DumpFileName.view(schema, name),
                [
                    "/*!40101 SET NAMES binary*/;\nDROP TABLE IF EXISTS \(quoted);\n"
                        + "DROP VIEW IF EXISTS \(quoted);\n", try text(view),
                ])
        }
        let triggers = Dictionary(grouping: objects.filter { $0.kind == .trigger }) { $0.table }
        for (table, all) in triggers {
            guard let table else { continue }
            try write(
                DumpFileName.triggers(table.schema, table.name), try all.map { try text($0) })
        }
        let others = Dictionary(
            grouping: objects.filter { [.procedure, .function, .event].contains($0.kind) }
        ) { $0.name.schema }
        for (schema, all) in others {
            try write(DumpFileName.routines(schema), try all.map { try text($0) })
        }
    }

    /// An object's statement between the settings that it was made under, which are part of it. The
    /// text is UTF-8, whatever charset it was written in once.
    private func text(_ object: DumpObject) throws -> String {
        var before: [(name: String, value: String)] = [("character_set_client", "utf8mb4")]
        if let collation = object.collation {
            before.append(("collation_connection", collation))
        }
        if let mode = object.sqlMode { before.append(("sql_mode", "'\(mode)'")) }
        if let zone = object.timeZone { before.append(("time_zone", "'\(zone)'")) }
        var out = ""
        for (name, _) in before { out += "SET @PREV_\(name.uppercased())=@@\(name);\n" }
        for (name, value) in before { out += "SET \(name) = \(value);\n" }
        out += try Self.inLines(
            object.statement, "\(object.kind.rawValue) \(object.name)", mode: object.sqlMode)
        out += ";\n"
        for (name, _) in before { out += "SET \(name) = @PREV_\(name.uppercased());\n" }
        return out
    }
}
