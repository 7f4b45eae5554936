internal import Foundation
public import Worker

/// A worker that is alive.
public struct WorkerSession: Sendable, Hashable, Codable {
    /// The worker's name.
    public var name: String
    /// A random token in the worker's data folder: tells a worker that has come back from another
    /// one with its name.
    public var identity: String
    /// Where it serves the API.
    public var address: String
    /// Where its own member of the store serves clients, if it has one.
    public var storeEndpoint: String?
    /// Where it serves its relay logs to other workers, if it does.
    public var relayAddress: String?
    /// Where its member of the store would talk to others, if it can have one.
    public var peerURL: String?
    /// Whether its member of the store has been there for it to see, and is not any more; nil: it is
    /// well, or there is none.
    public var isMemberDown: Bool?
    /// Whether it is about to end, and gives its sources away.
    public var isLeaving = false

    /// Describes a worker.
    public init(name: String, identity: String, address: String, storeEndpoint: String? = nil) {
        self.name = name
        self.identity = identity
        self.address = address
        self.storeEndpoint = storeEndpoint
    }
}

/// A source as the cluster keeps it.
public struct SourceRecord: Sendable, Hashable, Codable {
    /// Its settings as text, secrets encrypted.
    public var settings: String
    /// The workers that may run it; nil: any.
    public var allowedWorkers: Set<String>?
    /// Whether it is to have a worker at all.
    public var isEnabled = true
    /// How many workers keep its relay log, the one that runs it among them; nil: that one alone.
    public var relayReplicas: Int?
    /// Workers that keep a copy of it whatever that number is.
    public var relayWorkers: Set<String>?

    /// Describes a source.
    public init(settings: String, allowedWorkers: Set<String>? = nil, isEnabled: Bool = true) {
        self.settings = settings
        self.allowedWorkers = allowedWorkers
        self.isEnabled = isEnabled
    }
}

/// A task as the cluster keeps it.
public struct TaskRecord: Sendable, Hashable, Codable {
    /// Its settings as text, secrets encrypted.
    public var settings: String

    /// Describes a task.
    public init(settings: String) { self.settings = settings }
}

/// What a subtask is to do.
public enum Stage: String, Sendable, Hashable, Codable {
    /// Run, and try again after errors that may pass.
    case running
    /// Stay, with its checkpoint.
    case paused
    /// Not exist any more on its worker.
    case stopped
}

/// Which worker runs a source.
public struct Binding: Sendable, Hashable, Codable {
    /// The worker; nil: nobody. The record stays, also after the source was removed, since its epoch
    /// must never be given again: the target refuses takeovers with a smaller one.
    public var worker: String?
    /// Grows with every new binding of the source.
    public var epoch: Int64

    /// Describes a binding.
    public init(worker: String?, epoch: Int64) {
        self.worker = worker
        self.epoch = epoch
    }
}

/// Records are JSON in the store: its own tools show them.
enum RecordCoding {
    static func bytes(_ record: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(record))
    }

    /// The record, nil when it is not one: of a newer worker, perhaps.
    static func record<Record: Decodable>(_ bytes: [UInt8]) -> Record? {
        try? JSONDecoder().decode(Record.self, from: Data(bytes))
    }
}

extension WorkerSession {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
    /// Reads what the store keeps.
    public init?(bytes: [UInt8]) {
        guard let it: Self = RecordCoding.record(bytes) else { return nil }
        self = it
    }
}

extension SourceRecord {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
}

extension RelayHolding {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
}

extension TaskRecord {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
}

extension SubtaskHistory {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
    /// Reads what the store keeps.
    public init?(bytes: [UInt8]) {
        guard let it: Self = RecordCoding.record(bytes) else { return nil }
        self = it
    }
}

extension Stage {
    /// As the store keeps it.
    public var bytes: [UInt8] { Array(rawValue.utf8) }
}

extension Binding {
    /// As the store keeps it.
    public func bytes() throws -> [UInt8] { try RecordCoding.bytes(self) }
}
