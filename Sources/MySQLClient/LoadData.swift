internal import CMariaDB
public import MySQLCore

/// What a `LOAD DATA` statement reported.
public struct LoadReply: Sendable, Hashable {
    /// Affected rows: inserted ones, and for REPLACE also those that were replaced.
    public var affectedRows: UInt64
    /// Warnings. `LOAD DATA LOCAL` turns errors into warnings even in strict mode, so anything but
    /// zero means that rows were changed or left out.
    public var warnings: UInt32
    /// Rows that the server read from the stream.
    public var records: UInt64
    /// Rows that the server left out.
    public var skipped: UInt64
}

/// The error that a source of `LOAD DATA LOCAL` ended with, as it reaches the server.
private let sourceFailed: Int32 = 2000

/// A server may answer any statement with the request for a file of this machine, and the library
/// by itself sends whichever is named. Outside of ``Connection/load(_:from:)`` none is sent.
func refuseFileRequests(_ mysql: UnsafeMutablePointer<MYSQL>) {
    mysql_set_local_infile_handler(
        mysql, { _, _, _ in 1 }, { _, _, _ in -1 }, { _ in },
        { _, buffer, size in
            if size > 0 { buffer?.pointee = 0 }
            return sourceFailed
        }, nil)
}

/// Carries the caller's closure through the C library.
private final class LoadSource {
    let read: (inout ByteBuffer) throws -> Bool
    var pending = ByteBuffer(capacity: 1 << 16)
    var at = 0
    var ended = false
    var failure: (any Error)?

    init(_ read: @escaping (inout ByteBuffer) throws -> Bool) { self.read = read }

    /// Fills a packet; 0 at the end, -1 after an error.
    func fill(_ target: UnsafeMutableRawPointer, _ capacity: Int) -> Int32 {
        do {
            if pending.count - at < capacity, !ended {
                // Less than a packet is left to move, however large the row before was.
                pending.removeFirst(at)
                at = 0
                while pending.count < capacity, !ended { ended = try !read(&pending) }
            }
            let n = min(capacity, pending.count - at)
            pending.withBytes { bytes in
                if n > 0 { target.copyMemory(from: bytes.baseAddress! + at, byteCount: n) }
            }
            at += n
            return Int32(n)
        } catch {
            failure = error
            return -1
        }
    }
}

extension Connection {
    /// Runs a `LOAD DATA LOCAL INFILE` statement whose content comes from memory.
    ///
    /// - Parameters:
    ///   - sql: the statement; the file's name in it does not matter.
    ///   - read: appends content to the buffer, at least one byte, and returns true; false when
    ///     there is no more. It runs on this thread, between network packets.
    /// - Throws: what `read` threw (the server's transaction is then to be rolled back), else
    ///   ``MySQLError``.
    public func load(
        _ sql: String, from read: @escaping (inout ByteBuffer) throws -> Bool
    ) throws -> LoadReply {
        let source = LoadSource(read)
        let context = Unmanaged.passUnretained(source).toOpaque()
        mysql_set_local_infile_handler(
            mysql,
            { state, _, context in
                state?.pointee = context
                return 0
            },
            { context, buffer, size in
                let source = Unmanaged<LoadSource>.fromOpaque(context!).takeUnretainedValue()
                return source.fill(UnsafeMutableRawPointer(buffer!), Int(size))
            },
            { _ in },
            { _, buffer, size in
                if size > 0 { buffer?.pointee = 0 }
                return sourceFailed
            }, context)
        defer { refuseFileRequests(mysql) }
        do throws(MySQLError) {
            try withExtendedLifetime(source) { () throws(MySQLError) in try send(sql) }
        } catch {
            throw source.failure ?? error
        }
        if let failure = source.failure { throw failure }
        let info = mysql_info(mysql).map { String(cString: $0) } ?? ""
        let reply = LoadReply(
            affectedRows: UInt64(mysql_affected_rows(mysql)), warnings: mysql_warning_count(mysql),
            records: number(after: "Records: ", in: info),
            skipped: number(after: "Skipped: ", in: info))
        while mysql_next_result(mysql) == 0 {}
        return reply
    }

    /// The warnings of the last statement as texts, at most `limit`.
    public func warnings(limit: Int = 3) throws(MySQLError) -> [String] {
        try rows("SHOW WARNINGS LIMIT \(limit)").map { row in
            "\(row[1] ?? "?"): \(row[2] ?? "")"
        }
    }
}

/// The number behind a label in the client library's info line, 0 when there is none.
private func number(after label: String, in info: String) -> UInt64 {
    guard let range = info.firstRange(of: label) else { return 0 }
    return UInt64(info[range.upperBound...].prefix { $0.isNumber }) ?? 0
}
