public import MySQLCore

/// Where a reader starts in a source's events.
public enum StreamPlace: Sendable, Hashable, CustomStringConvertible {
    /// At an event's start in a file; of this server, or of whichever server answers.
    case position(BinlogPosition, of: ServerUUID?)
    /// With the first transaction that is not among these; later ones that are, are left out.
    case gtids(GTIDState)

    /// `file:offset`, or the GTIDs.
    public var description: String {
        switch self {
        case .position(let position, _): position.description
        case .gtids(let state): state.description
        }
    }
}

/// Reads a source's events from a place on, without an end: the one interface of all that
/// follow a source, whether events come over a connection, out of memory or from files.
///
/// One task at a time. Chunks are shared between readers, and never change.
public protocol EventReader: AnyObject, Sendable {
    /// Whether more has come from the source than was taken: the stream is not dry.
    var hasMore: Bool { get }
    /// The server whose files the last chunk's positions belong to; `nil` when that is the one
    /// that the reader was opened on.
    var server: ServerUUID? { get }
    /// The next events; suspends until there are some, at the latest a heartbeat.
    ///
    /// - Throws: what ended the stream, or `CancellationError` after ``close()`` or when the task
    ///   is cancelled. The stream is over then.
    func next() async throws -> EventChunk
    /// Ends the stream, from any thread; a ``next()`` that waits ends too.
    func close()
}

/// What a subtask's target durably holds of the source's transactions.
public struct HeldTransactions: Sendable, Hashable {
    /// The subtask's task.
    public var task: String
    /// The target, for people.
    public var target: String
    /// Everything at or before these is held.
    public var positions: [SourcePosition]
    /// Transactions that are held beyond them.
    public var others: IdentitySet

    /// Makes it.
    public init(
        task: String, target: String, positions: [SourcePosition], others: IdentitySet
    ) {
        self.task = task
        self.target = target
        self.positions = positions
        self.others = others
    }
}

/// What readers are opened on: a source as its events are seen from here.
public protocol EventSource: Sendable {
    /// Says what the target holds, before a reader is opened for it and after everything of
    /// earlier runs is decided. Returns when it is certain that events can be read which follow
    /// that.
    ///
    /// - Throws: `StreamError.sourceLostEvents` when the target holds what the source has lost.
    func settle(_ held: HeldTransactions) async throws
    /// Opens a reader.
    ///
    /// - Throws: when the place can't be served, with what is missing and who was asked.
    func reader(from place: StreamPlace) async throws -> any EventReader
    /// Whether a file of a server can be read from its start here, whatever the server still has.
    func holds(_ file: String, of server: ServerUUID) -> Bool
}

extension EventSource {
    /// Nothing is known here that the source would not say itself.
    public func settle(_ held: HeldTransactions) async throws {}
}

/// A reader's chunks as an asynchronous sequence.
public struct EventChunks: AsyncSequence {
    /// The reader behind it.
    public let reader: any EventReader

    /// Makes a sequence; it takes the chunks from the reader.
    public init(_ reader: any EventReader) { self.reader = reader }

    /// Takes chunks one by one.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let reader: any EventReader

        /// The next chunk; there is no end but an error.
        public mutating func next() async throws -> EventChunk? { try await reader.next() }
    }

    /// Makes the iterator.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }
}
