public import Runtime
internal import Synchronization

/// How long requests to the store take, and how they fail, by their method: the store's own names, so
/// that there are only so many.
public final class RequestMeasures: Sendable {
    /// A method's.
    public struct Reading: Sendable {
        /// The method's name.
        public let method: String
        /// From the request to its answer or its failure, all tries of it together.
        public let times: DurationHistogram.Reading
        /// How many failed, by what a caller is told.
        public let failures: [MetadataError.Code: UInt64]
    }

    private struct Entry {
        let times = DurationHistogram()
        var failures: [MetadataError.Code: UInt64] = [:]
    }
    private let entries = Mutex<[String: Entry]>([:])

    /// What was measured, in the order of names.
    public var readings: [Reading] {
        entries.withLock { $0 }.sorted { $0.key < $1.key }.map {
            Reading(method: $0.key, times: $0.value.times.reading, failures: $0.value.failures)
        }
    }

    /// Runs a request, and notes how it went. One that was cancelled says nothing.
    func measuring<Answer>(
        _ method: String, _ body: () async throws -> Answer
    ) async throws -> Answer {
        let start = ContinuousClock.now
        do {
            let answer = try await body()
            note(method, start, nil)
            return answer
        } catch let error as MetadataError {
            note(method, start, error.code)
            throw error
        }
    }

    private func note(
        _ method: String, _ start: ContinuousClock.Instant, _ failure: MetadataError.Code?
    ) {
        let times = entries.withLock { entries in
            if let failure {
                entries[method, default: Entry()].failures[failure, default: 0] += 1
            }
            let entry = entries[method] ?? Entry()
            entries[method] = entry
            return entry.times
        }
        times.record(since: start)
    }
}
