internal import MySQLClient
internal import MySQLCore

/// A table on the target as it was before a DDL statement: enough to see later whether the
/// statement has run.
public struct TableTrace: Sendable, Hashable, Codable {
    /// Who has told it.
    public struct Witness: Sendable, Hashable, Codable {
        /// The server's name, of ``ServerIdentity``: table ids are its own.
        public var server: String
        /// Its version, which words definitions in its own way.
        public var version: String

        /// Makes a witness.
        public init(server: String, version: String) {
            self.server = server
            self.version = version
        }
    }

    /// InnoDB's id of the table, where the user may see it (privilege PROCESS): a rebuild,
    /// TRUNCATE or DROP and CREATE gives another, RENAME keeps it.
    public var tableID: String?
    /// Digest of `SHOW CREATE TABLE` without its AUTO_INCREMENT value, as hexadecimal digits; `nil`
    /// when there is no such table.
    public var definition: String?
    /// The server that it was seen on; `nil` for one of an earlier version of Skein.
    public var witness: Witness?

    /// What two looks at a table tell of what has happened between them.
    public enum Difference: Sendable, Hashable {
        /// Nothing has: it is there, with the same id.
        case none
        /// Nothing that shows.
        case unseen
        /// Nothing can be said: it is worded by another version of the server.
        case unknown
        /// Something has.
        case changed
    }

    /// How it is another table than before.
    ///
    /// Ids are compared where the same server has told both. Those of a replica that has taken
    /// over, or that the user could not see then or can't see now, say nothing.
    public func difference(from before: TableTrace) -> Difference {
        guard let definition, let old = before.definition.map(Self.digested) else {
            return definition == before.definition ? .unseen : .changed
        }
        let isSameServer = witness != nil && witness?.server == before.witness?.server
        if isSameServer, let tableID, let oldID = before.tableID, tableID != oldID {
            return .changed
        }
        if definition != old {
            let isSameVersion = witness?.version == before.witness?.version
            return isSameVersion || before.witness == nil ? .changed : .unknown
        }
        return isSameServer && tableID != nil && before.tableID != nil ? .none : .unseen
    }
}

extension TableTrace {
    /// Looks at a table. The session is out of any statement's context.
    init(_ table: TableName, _ session: TargetSession) throws {
        let connection = session.connection
        do throws(MySQLError) {
            let rows = try connection.rows("SHOW CREATE TABLE \(table.quoted)")
            definition = rows.first?[1].map { Self.digested(Self.withoutAutoIncrement($0)) }
        } catch {
            let isAbsent =
                error.code == MySQLErrorCode.noSuchTable
                || error.code == MySQLErrorCode.unknownDatabase
            guard isAbsent else { throw error }
            return
        }
        let version = connection.serverVersion
        witness = Witness(
            server: session.server.name,
            version: "\(version.family) \(version.major).\(version.minor).\(version.patch)")
        let view = connection.family == .mariadb ? "INNODB_SYS_TABLES" : "INNODB_TABLES"
        guard let schema = Self.fileName(table.schema), let name = Self.fileName(table.name) else {
            try connection.execute("COMMIT")
            return
        }
        let path = utf8Literal("\(schema)/\(name)")
        do throws(MySQLError) {
            tableID = try connection.value(
                "SELECT TABLE_ID FROM information_schema.\(view) "
                    + "WHERE NAME=CONVERT(\(path) USING utf8mb3)")
        } catch {
            // Without the privilege PROCESS, or such a view, the shape alone has to decide.
            let isHidden =
                error.code == MySQLErrorCode.privilegeMissing
                || error.code == MySQLErrorCode.unknownTable
                || error.code == MySQLErrorCode.noSuchTable
            guard isHidden else { throw error }
        }
        try connection.execute("COMMIT")
    }

    /// A name as InnoDB knows it, which goes by names of files (MySQL manual, "Mapping of
    /// Identifiers to File Names"); `nil` beyond ASCII, where letters have codes of their own:
    /// without an id the shape alone decides.
    private static func fileName(_ name: String) -> String? {
        var out = ""
        for byte in name.utf8 {
            guard byte < 0x80 else { return nil }
            let scalar = Unicode.Scalar(byte)
            if scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                || scalar == "_"
            {
                out.unicodeScalars.append(scalar)
            } else {
                let digits = String(byte, radix: 16)
                out += "@" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return out
    }

    /// A definition's digest, which it may be already: earlier versions of Skein kept the text.
    private static func digested(_ definition: String) -> String {
        definition.hasPrefix("x'") ? definition : hexLiteral(Digest.digest(text: definition))
    }

    private static func withoutAutoIncrement(_ definition: String) -> String {
        let definition = withoutSecrets(definition)
        guard let range = definition.firstRange(of: " AUTO_INCREMENT=") else { return definition }
        let rest = definition[range.upperBound...].drop { $0.isNumber }
        return String(definition[..<range.lowerBound]) + rest
    }
}
