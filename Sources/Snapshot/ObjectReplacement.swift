internal import Checkpoint
internal import MySQLClient
internal import MySQLCore

// MariaDB has statements that put a view or a routine in another one's place, and keep what was
// granted on it. MySQL has none for routines, and what was granted on one alone goes with it. So what
// is dropped there is recorded before, in a transaction that proves the run, with what was granted on
// it. The record goes when one is there again and has all that: whoever finds it goes on from what
// the target has. Statements of the stream that come between two switch-overs leave it alone.
//
// Whether what is dropped could come back is tried under another name before, with that record there
// already: a run that ends meanwhile leaves a routine of that name, and the next one drops it.

/// A view or routine of the target that is dropped because no statement replaces it; its creation may
/// only have been tried as yet.
struct ReplacedObject: Sendable, Codable {
    var id: StaleObject.ID
    /// As the target had it.
    var had: SourceObject
    /// What was granted on it alone.
    var grants: [RoutineGrant]
    /// When it was made, by the target's clock, in seconds; `nil` where one that is made behind this
    /// record could have been made then, too.
    var created: Int?

    /// Those that were not made good.
    static func read(_ stored: StoredObjects, _ target: Connection) throws -> [ReplacedObject] {
        let kinds = Set(StaleObject.Kind.allCases.map(\.replaced))
        return try stored.read(target).filter { kinds.contains($0.kind) }
            .map { try $0.decoded(as: ReplacedObject.self) }
    }
}

/// What an account or role may do with one procedure or function.
struct RoutineGrant: Sendable, Hashable, Codable {
    var user: String
    var host: String
    /// `EXECUTE`, `ALTER ROUTINE`, both or none.
    var privileges: [String]
    /// Whether it may give them to others.
    var isGrantable: Bool

    /// There is no such account: GRANT makes none.
    static let noAccount: Set<UInt32> = [1133, 1410]

    /// All that is granted on a routine to others, and whether its user may grant it because of a
    /// grant on it alone; nothing of a view, where privileges outlive it.
    static func read(
        _ id: StaleObject.ID, _ target: Connection
    ) throws(MySQLError) -> (others: [RoutineGrant], isOwnGrantable: Bool) {
        guard id.kind != .view else { return ([], false) }
        let schema = utf8Literal(id.name.schema)
        let rows = try target.rows(
            "SELECT User, Host, Proc_priv FROM mysql.procs_priv "
                + "WHERE (Db=\(schema) OR @@lower_case_table_names<>0 AND Db=LOWER(\(schema))) "
                + "AND Routine_name=\(utf8Literal(id.name.name)) "
                + "AND Routine_type='\(id.kind.rawValue.uppercased())' ORDER BY User, Host")
        // MySQL gives its creator what he needs.
        let own = try target.value("SELECT CURRENT_USER()")
        try target.execute("COMMIT")
        var others: [RoutineGrant] = []
        var isOwnGrantable = false
        for row in rows {
            let names = (row[2] ?? "").uppercased().split(separator: ",").map(String.init)
            if "\(row[0] ?? "")@\(row[1] ?? "")" == own {
                isOwnGrantable = names.contains("GRANT")
                continue
            }
            others.append(
                RoutineGrant(
                    user: row[0] ?? "", host: row[1] ?? "",
                    privileges: names.filter { $0 != "GRANT" },
                    isGrantable: names.contains("GRANT")))
        }
        return (others, isOwnGrantable)
    }

    /// The statement that gives it.
    func statement(on id: StaleObject.ID) -> String {
        let what = privileges.isEmpty ? "USAGE" : privileges.joined(separator: ", ")
        return "GRANT \(what) ON \(id.kind.rawValue.uppercased()) \(id.name.quoted) TO "
            + "\(Self.quoted(user))@\(Self.quoted(host))"
            + (isGrantable ? " WITH GRANT OPTION" : "")
    }

    /// The nameless user has no quoted identifier.
    private static func quoted(_ name: String) -> String {
        name.isEmpty ? "''" : quoteIdentifier(name)
    }
}

/// Makes views and routines of the target what they are on the source.
struct ObjectReplacement {
    private let target: Connection
    private let stored: StoredObjects
    private let coordinator: Coordinator
    /// What was dropped, by this run or one before it, and is not made good.
    private var begun: [StaleObject.ID: ReplacedObject] = [:]
    /// What this run has dropped, or brought back: that is nobody else's work.
    private var touched: Set<StaleObject.ID> = []

    /// - Parameters:
    ///   - target: holds the subtask's DDL lock, with no transaction open.
    ///   - coordinator: that of the run, on the same session.
    init(_ stored: StoredObjects, _ target: Connection, by coordinator: Coordinator) throws {
        self.target = target
        self.stored = stored
        self.coordinator = coordinator
        for object in try ReplacedObject.read(stored, target) { begun[object.id] = object }
    }

    /// Makes good what an earlier run has dropped and a statement of the stream has made again, or
    /// dropped, since; or which the rules leave out since: that is again what it was.
    ///
    /// - Parameters:
    ///   - open: those that are made what the source has.
    ///   - known: those of which the target still has refused something.
    /// - Returns: those of which that is refused, and why.
    mutating func settle(
        except open: Set<StaleObject.ID>, _ known: [StaleObject]
    ) throws -> [(id: StaleObject.ID, reason: String)] {
        var refused: [(id: StaleObject.ID, reason: String)] = []
        let ids = begun.keys.filter { !open.contains($0) }
        for id in ids.sorted(by: { $0.description < $1.description }) {
            if let reason = try dropProbe(of: id) {
                refused.append((id, reason))
                continue
            }
            if try !isThere(id) {
                let object = known.first { $0.id == id }
                guard let replaced = begun[id], let stale = object else {
                    try forget(id)
                    continue
                }
                try unask(stale)
                let what = "it was dropped to be replaced, and can't be created again"
                if let reason = try restore(replaced.had, refused: what) {
                    refused.append((id, reason))
                    continue
                }
            }
            if let reason = try giveBack(id) {
                refused.append((id, reason))
            }
        }
        return refused
    }

    /// Makes one what the source has.
    ///
    /// - Parameter wanted: the source's; `nil` where it has none.
    /// - Returns: why the target refuses it; `nil` when it is done.
    mutating func make(_ object: StaleObject, as wanted: SourceObject?) throws -> String? {
        if begun[object.id] != nil, let reason = try dropProbe(of: object.id) { return reason }
        guard let wanted else {
            guard try isThere(object.id) else {
                try forget(object.id)
                return nil
            }
            let reason = try drop(
                object.id, refused: "the source has dropped it, and the target does not")
            if reason == nil { try forget(object.id) }
            return reason
        }
        if let reason = try refusal(object, wanted) { return reason }
        return try giveBack(object.id)
    }

    private static let refusesDefinition = "the target refuses the source's definition"

    private mutating func refusal(
        _ object: StaleObject, _ wanted: SourceObject
    ) throws -> String? {
        let there = try ObjectDefinition(object.id, on: target)
        try target.execute("COMMIT")
        switch there {
        case .absent:
            let reason = try create(wanted, refused: Self.refusesDefinition)
            // It may have been dropped to be replaced.
            guard let why = reason, begun[object.id] != nil else { return reason }
            try unask(object)
            return try bringBack(object.id, because: why)
        case .shown(let now):
            if wanted.isSame(as: now) { return nil }
            // Somebody was asked to do something about it, and did.
            let asked = there.asked(on: target)
            if !touched.contains(object.id), let before = object.asked,
                before.version == asked.version, before != asked
            {
                return nil
            }
            if let replacing = wanted.replacing(on: target) {
                return try create(replacing, refused: Self.refusesDefinition)
            }
            return try replace(object, now, by: wanted)
        case .hidden:
            if let replacing = wanted.replacing(on: target) {
                return try create(replacing, refused: Self.refusesDefinition)
            }
            return "the target has another one, and does not show its user what it is: grant it "
                + "SHOW_ROUTINE, or drop the \(object.id.kind.rawValue) there"
        }
    }

    /// Drops one and creates the source's, where the target has no statement that does both.
    private mutating func replace(
        _ object: StaleObject, _ now: SourceObject, by wanted: SourceObject
    ) throws -> String? {
        let id = object.id
        let granted: (others: [RoutineGrant], isOwnGrantable: Bool)
        do throws(MySQLError) {
            granted = try RoutineGrant.read(id, target)
        } catch {
            guard error.retry == .no else { throw error }
            return "it would be dropped first, and what is granted on it can't be read: grant the "
                + "target's user SELECT on mysql.procs_priv, or create the \(id.kind.rawValue) "
                + "there by hand (\(error.message))"
        }
        let has = granted.others
        // Who may not grant it now may not afterwards, when it is needed.
        if let reason = try grant(has, on: id) { return reason }
        let (created, isOlder) = try age(of: id)
        // What was taken from one that is the same since the record is not given again.
        let isUntouched = created != nil && begun[id]?.created == created
        let lost =
            isUntouched ? [] : (begun[id]?.grants ?? []).filter { !has.contains($0) }
        if granted.isOwnGrantable, !(has + lost).isEmpty {
            return "it would be dropped first, and with it the grant on it alone by which the "
                + "target's user may grant it to others: grant the user GRANT OPTION on the schema "
                + "and revoke that on the \(id.kind.rawValue), or create it there by hand"
        }
        let wasBegun = begun[id] != nil
        try keep(
            ReplacedObject(
                id: id, had: now, grants: has + lost,
                created: isOlder && lost.isEmpty ? created : nil))
        if let reason = try refusesAgain(id, now) {
            // Nothing has been done to it; what it was tried under may be there still.
            if !wasBegun, try !isThere(Self.probe(of: id)) { try forget(id) }
            return reason
        }
        // That somebody was asked about it counts no more: what comes back may be worded otherwise,
        // though nobody has made it.
        try unask(object)
        if let reason = try drop(id, refused: "the target does not let the one go that it has") {
            let lacking = try giveBack(id)
            return [reason, lacking].compactMap { $0 }.joined(separator: "; ")
        }
        let reason: String?
        do {
            reason = try create(wanted, refused: Self.refusesDefinition)
        } catch {
            // It is tried again; meanwhile the target has what it had.
            try? now.create(on: target, asItWas: true)
            _ = try? giveBack(id)
            throw error
        }
        return try reason.map { try bringBack(id, because: $0) }
    }

    /// Creates what was dropped again, since the source's is refused.
    ///
    /// - Returns: why, and what of it is refused, too.
    private mutating func bringBack(
        _ id: StaleObject.ID, because reason: String
    ) throws -> String {
        guard let object = begun[id] else { return reason }
        let lost = try restore(
            object.had, refused: "and what the target had can't be created again")
        let lacking = lost == nil ? try giveBack(id) : nil
        return [reason, lost, lacking].compactMap { $0 }.joined(separator: "; ")
    }

    /// Grants on one that was dropped, and is there again, what was granted on it; then nothing need
    /// be known of it any more.
    ///
    /// - Returns: why the target refuses that.
    private mutating func giveBack(_ id: StaleObject.ID) throws -> String? {
        guard let object = begun[id], try isThere(id) else { return nil }
        if let reason = try grant(object.grants, on: id) { return reason }
        try forget(id)
        return nil
    }

    private func grant(_ grants: [RoutineGrant], on id: StaleObject.ID) throws -> String? {
        guard !grants.isEmpty else { return nil }
        // GRANT makes no account: not at all from MySQL 8 on, by this mode elsewhere.
        let makesNone = target.family == .mysql && target.serverVersion.isAtLeast(8)
        try target.execute(
            "SET SESSION sql_mode='\(makesNone ? "" : "NO_AUTO_CREATE_USER")'")
        for grant in grants where grant.isGrantable || !grant.privileges.isEmpty {
            do throws(MySQLError) {
                try target.execute(grant.statement(on: id))
            } catch {
                guard error.retry == .no else { throw error }
                if RoutineGrant.noAccount.contains(error.code) { continue }
                return "what is granted on it goes when it is dropped, and the target's user may "
                    + "not grant it (\(error.message)): let it, or create the "
                    + "\(id.kind.rawValue) there by hand"
            }
        }
        return nil
    }

    private func isThere(_ id: StaleObject.ID) throws -> Bool {
        let there = try ObjectDefinition(id, on: target)
        try target.execute("COMMIT")
        if case .absent = there { return false }
        return true
    }

    private func create(_ object: SourceObject, refused what: String) throws -> String? {
        try Self.tell(what) { try object.create(on: target) }
    }

    /// Creates what the target had.
    private func restore(_ object: SourceObject, refused what: String) throws -> String? {
        try Self.tell(what) { try object.create(on: target, asItWas: true) }
    }

    /// Whether what the target has could not come back once it is dropped: its definer or its kind
    /// may not be allowed any more. It is made under another name to see that, and dropped there.
    ///
    /// Nothing is dropped before unless it must: DROP of what is not there needs ALTER ROUTINE on the
    /// schema, which a user may lack who gets it on what that user creates
    /// (`automatic_sp_privileges`). Where that is off, too, the routine stays as it is: the one that
    /// replaces it could not be dropped either.
    ///
    /// - Returns: why the target refuses it.
    private func refusesAgain(_ id: StaleObject.ID, _ now: SourceObject) throws -> String? {
        let other = Self.probe(of: id)
        guard let probe = now.named(other.name.name) else { return nil }
        let what = "once it is dropped, what the target has could not be created again"
        var isLeft = false
        let reason = try Self.tell(what) {
            do {
                try probe.create(on: target, asItWas: true)
            } catch let error as MySQLError {
                guard error.code == MySQLErrorCode.routineExists else { throw error }
                isLeft = true
            }
        }
        if let reason { return reason }
        if isLeft {
            if let reason = try drop(other, refused: Self.keepsProbe(other)) { return reason }
            if let reason = try restore(probe, refused: what) { return reason }
        }
        return try drop(other, refused: Self.keepsProbe(other))
    }

    /// Drops what an earlier run has left of a routine's trial.
    ///
    /// - Returns: why the target refuses that.
    private func dropProbe(of id: StaleObject.ID) throws -> String? {
        // Others replace in one statement.
        guard id.kind != .view, target.family == .mysql else { return nil }
        let other = Self.probe(of: id)
        guard try isThere(other) else { return nil }
        return try drop(other, refused: Self.keepsProbe(other))
    }

    /// What a routine is tried under: one name for each, so that what a killed run leaves is found.
    private static func probe(of id: StaleObject.ID) -> StaleObject.ID {
        let digest = hexLiteral(Digest.digest(text: id.key.name)).dropFirst(2).dropLast()
        var other = id
        other.name.name = "skein probe \(digest.prefix(32))"
        return other
    }

    private static func keepsProbe(_ other: StaleObject.ID) -> String {
        "the target does not let the \(other) go, which Skein has made to see whether what there is "
            + "could be created again: drop it by hand, and grant the target's user ALTER ROUTINE "
            + "on the schema"
    }

    /// When the target's was made, in seconds, and whether that is over.
    private func age(of id: StaleObject.ID) throws -> (created: Int?, isOlder: Bool) {
        guard id.kind != .view else { return (nil, false) }
        let rows = try target.rows(
            "SELECT FLOOR(UNIX_TIMESTAMP(CREATED)), "
                + "UNIX_TIMESTAMP(CREATED)<UNIX_TIMESTAMP(SYSDATE())-1 "
                + "FROM information_schema.ROUTINES "
                + "WHERE ROUTINE_SCHEMA=\(utf8Literal(id.name.schema)) "
                + "AND ROUTINE_NAME=\(utf8Literal(id.name.name)) "
                + "AND ROUTINE_TYPE='\(id.kind.rawValue.uppercased())'")
        try target.execute("COMMIT")
        guard let row = rows.first else { return (nil, false) }
        return (row[0].flatMap { Int($0) }, row[1] == "1")
    }

    private func drop(_ id: StaleObject.ID, refused what: String) throws -> String? {
        try Self.tell(what) {
            try target.execute("DROP \(id.kind.rawValue.uppercased()) IF EXISTS \(id.name.quoted)")
        }
    }

    /// Records what is to be dropped.
    private mutating func keep(_ object: ReplacedObject) throws {
        let record = try StoredObject(
            kind: object.id.kind.replaced, name: object.id.key, encoding: object)
        try stored.write([stored.storeStatement(record)], by: coordinator)
        begun[object.id] = object
    }

    /// What comes back next is nobody's answer to what was asked.
    private mutating func unask(_ stale: StaleObject) throws {
        try stored.write(unasking(stale), by: coordinator)
        touched.insert(stale.id)
    }

    private func unasking(_ stale: StaleObject) throws -> [String] {
        guard stale.asked != nil else { return [] }
        var stale = stale
        stale.asked = nil
        let record = try StoredObject(
            kind: stale.id.kind.stored, name: stale.id.key, encoding: stale)
        return [stored.storeStatement(record)]
    }

    private mutating func forget(_ id: StaleObject.ID) throws {
        guard begun[id] != nil else { return }
        try stored.write([stored.removeStatement(id.kind.replaced, id.key)], by: coordinator)
        begun[id] = nil
    }

    /// Does something, and says why it is refused for good.
    private static func tell(_ what: String, _ body: () throws -> Void) throws -> String? {
        do {
            try body()
            return nil
        } catch let error as MySQLError where error.retry == .no {
            return "\(what): \(error.message)"
        } catch let SnapshotError.unsupported(_, detail) {
            return "\(what): \(detail)"
        }
    }
}
