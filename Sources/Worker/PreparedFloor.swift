internal import MySQLClient
internal import MySQLCore
internal import Runtime
internal import Stream

/// Keeps what a relay log must keep from moving on at the start of a run: XA transactions that an
/// earlier run has read the prepare of may still be committed, and this run knows nothing of them.
///
/// Those whose decision the source had written when the run began are done with when the mark is
/// there; of the others `XA RECOVER` tells.
struct PreparedFloor {
    private let source: ConnectionOptions
    /// Where the source was.
    private var place: SourcePosition?
    /// What was prepared there, and not decided.
    private var undecided: Set<String> = []
    private var isLifted: Bool
    private var nextLook: ContinuousClock.Instant?

    /// How often the source is asked.
    private static let interval = Duration.seconds(5)

    /// - Parameter isLifted: an earlier run needed nothing older than this one does.
    init(source: ConnectionOptions, isLifted: Bool) {
        self.source = source
        self.isLifted = isLifted
    }

    /// Whether what the run itself needs is all that is needed.
    mutating func isPassed(by mark: SourcePosition?) async throws -> Bool {
        if isLifted { return true }
        if let nextLook, ContinuousClock.now < nextLook { return false }
        if let place {
            guard let mark, mark.reaches(place) else { return false }
        }
        nextLook = .now + Self.interval
        do {
            let source = source
            // The names first: what is decided in between is in front of the position.
            let (names, found) = try await withThread("control") {
                let session = SourceSession(try Connection(source))
                let names = try Self.prepared(session.connection)
                return (names, try Self.position(session))
            }
            if place == nil {
                place = found
                undecided = names
                nextLook = nil
            } else {
                undecided.formIntersection(names)
                isLifted = undecided.isEmpty
            }
        } catch is MySQLError {
            // It is asked again; meanwhile everything stays.
        }
        return isLifted
    }

    /// The names of all that is prepared. Without the right to see them (XA_RECOVER_ADMIN) there are
    /// none to be known.
    private static func prepared(_ connection: Connection) throws -> Set<String> {
        do {
            return Set(
                try connection.rows("XA RECOVER").map { row in
                    (0..<4).map { row[$0] ?? "" }.joined(separator: "\t")
                })
        } catch {
            if error.isConnectionLost { throw error }
            return []
        }
    }

    private static func position(_ session: SourceSession) throws -> SourcePosition {
        // The position first: the GTIDs then hold all of it.
        let position = try session.currentPosition()
        return SourcePosition(
            origin: Origin(server: try session.serverName(), life: 0), binlog: position,
            gtids: try session.currentGTIDs())
    }
}
