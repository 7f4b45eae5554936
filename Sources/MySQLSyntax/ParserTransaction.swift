import MySQLCore

/// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, XA.
extension Parser {
    /// A statement that controls transactions; `nil`, with nothing consumed, for any other.
    mutating func transactionControl() throws(SyntaxFailure) -> TransactionControl? {
        switch keyword {
        case .begin:
            // `BEGIN NOT ATOMIC` and labelled blocks are MariaDB's anonymous blocks.
            guard peek(1).kind == .end || peek(1).keyword == .work || isByte(";", at: 1) else {
                return nil
            }
            skipToEnd()
            return .begin
        case .start:
            guard peek(1).keyword == .transaction else { return nil }
            skipToEnd()
            return .begin
        case .commit:
            skipToEnd()
            return .commit
        case .rollback:
            advance()
            _ = take(.work)
            guard take(.to) else {
                skipToEnd()
                return .rollback
            }
            _ = take(.savepoint)
            return .rollbackTo(try lastName())
        case .savepoint:
            advance()
            return .savepoint(try lastName())
        case .release:
            advance()
            try expect(.savepoint)
            return .release(try lastName())
        case .xa:
            advance()
            return try xa()
        default:
            return nil
        }
    }

    private mutating func lastName() throws(SyntaxFailure) -> String {
        let out = try name()
        try expectEnd()
        return out
    }

    private mutating func xa() throws(SyntaxFailure) -> TransactionControl {
        let verb = keyword
        advance()
        switch verb {
        case .start, .begin:
            let xid = try xid()
            _ = takeAny(.join, .resume)
            try expectEnd()
            return .xaStart(xid)
        case .end:
            let xid = try xid()
            if take(.suspend), take(.for) { try expect(.migrate) }
            try expectEnd()
            return .xaEnd(xid)
        case .prepare:
            let xid = try xid()
            try expectEnd()
            return .xaPrepare(xid)
        case .commit:
            let xid = try xid()
            let onePhase = take(.one, .phase)
            try expectEnd()
            return .xaCommit(xid, onePhase: onePhase)
        case .rollback:
            let xid = try xid()
            try expectEnd()
            return .xaRollback(xid)
        case .recover:
            skipToEnd()
            return .xaRecover
        default:
            throw failure("an XA command expected")
        }
    }

    /// `gtrid [, bqual [, format]]`, strings or hexadecimal.
    private mutating func xid() throws(SyntaxFailure) -> XID {
        var out = XID(globalID: try xidPart())
        if takeByte(",") {
            out.branch = try xidPart()
            if takeByte(",") { out.format = try integer() }
        }
        return out
    }

    private mutating func xidPart() throws(SyntaxFailure) -> [UInt8] {
        let bytes: [UInt8]
        switch token.kind {
        case .string: bytes = stringBytes(token)
        case .hex, .bits: bytes = binaryBytes(token)
        default: throw failure("a string expected")
        }
        guard bytes.count <= 64 else { throw failure("at most 64 bytes expected") }
        advance()
        return bytes
    }
}
