internal import Foundation
internal import SwiftProtobuf

/// The number of a state of the store: every change makes it grow.
public typealias Revision = Int64

/// The number of a lease.
public struct LeaseID: Sendable, Hashable, CustomStringConvertible {
    /// The store's number, never 0.
    public let number: Int64

    /// Names a lease.
    public init(_ number: Int64) { self.number = number }

    /// In hexadecimal, as the store's own tools show it.
    public var description: String { String(UInt64(bitPattern: number), radix: 16) }
}

/// A key and what the store holds for it.
public struct KeyValue: Sendable, Hashable {
    /// The key.
    public let key: String
    /// The value.
    public let value: [UInt8]
    /// The revision at which the key was created: it tells an owner from the next one.
    public let createRevision: Revision
    /// The revision at which the value was written.
    public let modRevision: Revision
    /// The lease that the key goes with.
    public let lease: LeaseID?

    /// Describes a key.
    public init(
        key: String, value: [UInt8], createRevision: Revision, modRevision: Revision,
        lease: LeaseID? = nil
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.lease = lease
    }

    init(_ message: EtcdKeyValue) {
        key = String(decoding: message.key, as: UTF8.self)
        value = [UInt8](message.value)
        createRevision = message.createRevision
        modRevision = message.modRevision
        lease = message.lease == 0 ? nil : LeaseID(message.lease)
    }
}

/// Which keys a request is about.
public struct KeyRange: Sendable, Hashable {
    let start: [UInt8]
    /// Behind the last key; empty: the start alone.
    let end: [UInt8]

    /// One key.
    public static func key(_ key: String) -> KeyRange { KeyRange(start: Array(key.utf8), end: []) }

    /// All keys that begin with a prefix, which must not be empty.
    public static func prefix(_ prefix: String) -> KeyRange {
        let start = Array(prefix.utf8)
        precondition(!start.isEmpty, "an empty prefix means no key of ours")
        // Bytes of UTF-8 are never 0xff: the last one can be counted up.
        return KeyRange(start: start, end: start.dropLast() + [start[start.count - 1] + 1])
    }

    /// The rest of the range behind a key.
    func after(_ key: String) -> KeyRange { KeyRange(start: Array(key.utf8) + [0], end: end) }
}

/// What must hold for a transaction to do its main part.
public enum Condition: Sendable, Hashable {
    /// There is no such key.
    case missing(String)
    /// There is such a key.
    case exists(String)
    /// The key's value is the one that was written at this revision.
    case modRevision(String, Revision)
    /// The key is the one that was created at this revision.
    case createRevision(String, Revision)
    /// The key has this value.
    case value(String, [UInt8])
}

/// One step of a transaction. Two steps must not write the same key.
public enum Operation: Sendable, Hashable {
    /// Writes a key; with a lease it goes when that ends.
    case put(String, [UInt8], lease: LeaseID? = nil)
    /// Deletes keys.
    case delete(KeyRange)
    /// Reads keys: all of the range, so it must be small.
    case get(KeyRange)
}

/// What one step has done.
public enum OperationResult: Sendable, Hashable {
    /// The key was written.
    case put
    /// This many keys were deleted.
    case deleted(Int)
    /// These keys are there.
    case values([KeyValue])
}

/// What a transaction has done.
public struct TransactionResult: Sendable {
    /// Whether all conditions held, and so `then` was done, not `otherwise`.
    public let succeeded: Bool
    /// The state of the store after it.
    public let revision: Revision
    /// The number of the cluster that has answered.
    public let cluster: UInt64
    /// One for each step.
    public let results: [OperationResult]
}

extension EtcdClient {
    /// The value of a key.
    public func get(_ key: String, within limit: Duration? = nil) async throws -> KeyValue? {
        let request = EtcdRangeRequest.with { $0.key = Data(key.utf8) }
        return try await call(EtcdMethods.range, request, within: limit).kvs.first
            .map { KeyValue($0) }
    }

    /// Whether a key has a value, which is written where the key is missing. A store that takes no
    /// writes still answers for a key that is there.
    public func claim(_ key: String, _ value: [UInt8]) async throws -> Bool {
        if let found = try await get(key) { return found.value == value }
        let claimed = try await transaction(
            if: [.missing(key)], then: [.put(key, value, lease: nil)],
            otherwise: [.get(.key(key))])
        if claimed.succeeded { return true }
        guard case .values(let values) = claimed.results.first, let found = values.first else {
            // It was there, and has gone.
            return try await claim(key, value)
        }
        return found.value == value
    }

    /// All keys of a range as they are at one revision, read in pages.
    public func list(
        _ range: KeyRange, pageSize: Int = 500
    ) async throws -> (values: [KeyValue], revision: Revision) {
        var values: [KeyValue] = []
        var revision: Revision = 0
        var rest = range
        while true {
            let page = try await call(
                EtcdMethods.range,
                .with {
                    $0.setRange(rest)
                    $0.limit = Int64(pageSize)
                    $0.revision = revision
                })
            if revision == 0 { revision = page.header.revision }
            values += page.kvs.map { KeyValue($0) }
            guard page.more, let last = values.last else { return (values, revision) }
            rest = rest.after(last.key)
        }
    }

    /// How many keys are in a range.
    public func count(_ range: KeyRange) async throws -> Int {
        let request = EtcdRangeRequest.with {
            $0.setRange(range)
            $0.countOnly = true
        }
        return Int(try await call(EtcdMethods.range, request).count)
    }

    /// The key of a range that was created last before a revision.
    func newest(of range: KeyRange, createdBefore revision: Revision) async throws -> KeyValue? {
        let request = EtcdRangeRequest.with {
            $0.setRange(range)
            $0.limit = 1
            $0.sortTarget = .create
            $0.sortOrder = .descend
            $0.maxCreateRevision = revision - 1
        }
        return try await call(EtcdMethods.range, request).kvs.first.map { KeyValue($0) }
    }

    /// Writes a key unconditionally.
    @discardableResult
    public func put(_ key: String, _ value: [UInt8], lease: LeaseID? = nil) async throws -> Revision
    {
        try await transaction(then: [.put(key, value, lease: lease)]).revision
    }

    /// Deletes keys, and returns how many there were.
    @discardableResult
    public func delete(_ range: KeyRange) async throws -> Int {
        let done = try await transaction(then: [.delete(range)])
        guard case .deleted(let count) = done.results.first else { return 0 }
        return count
    }

    /// Does `then` if all conditions hold, else `otherwise`; either as a whole.
    @discardableResult
    public func transaction(
        if conditions: [Condition] = [], then: [Operation], otherwise: [Operation] = [],
        within limit: Duration? = nil
    ) async throws -> TransactionResult {
        let request = EtcdTxnRequest.with {
            $0.compare = conditions.map { $0.message }
            $0.success = then.map { $0.message }
            $0.failure = otherwise.map { $0.message }
        }
        let response = try await call(EtcdMethods.transaction, request, within: limit)
        return TransactionResult(
            succeeded: response.succeeded, revision: response.header.revision,
            cluster: response.header.clusterID,
            results: response.responses.map { OperationResult($0) })
    }
}

extension EtcdRangeRequest {
    fileprivate mutating func setRange(_ range: KeyRange) {
        key = Data(range.start)
        rangeEnd = Data(range.end)
    }
}

extension Condition {
    fileprivate var message: EtcdCompare {
        .with {
            $0.result = .equal
            switch self {
            case .missing(let key):
                $0.key = Data(key.utf8)
                $0.target = .create
                $0.createRevision = 0
            case .exists(let key):
                $0.key = Data(key.utf8)
                $0.target = .create
                $0.createRevision = 0
                $0.result = .notEqual
            case .modRevision(let key, let revision):
                $0.key = Data(key.utf8)
                $0.target = .mod
                $0.modRevision = revision
            case .createRevision(let key, let revision):
                $0.key = Data(key.utf8)
                $0.target = .create
                $0.createRevision = revision
            case .value(let key, let value):
                $0.key = Data(key.utf8)
                $0.target = .value
                $0.value = Data(value)
            }
        }
    }
}

extension Operation {
    fileprivate var message: EtcdRequestOp {
        .with {
            switch self {
            case .put(let key, let value, let lease):
                $0.requestPut = .with {
                    $0.key = Data(key.utf8)
                    $0.value = Data(value)
                    $0.lease = lease?.number ?? 0
                }
            case .delete(let range):
                $0.requestDeleteRange = .with {
                    $0.key = Data(range.start)
                    $0.rangeEnd = Data(range.end)
                }
            case .get(let range):
                $0.requestRange = .with { $0.setRange(range) }
            }
        }
    }
}

extension OperationResult {
    fileprivate init(_ message: EtcdResponseOp) {
        switch message.response {
        case .responseRange(let range): self = .values(range.kvs.map { KeyValue($0) })
        case .responseDeleteRange(let deletion): self = .deleted(Int(deletion.deleted))
        case .responsePut, nil: self = .put
        }
    }
}
