public import Checkpoint
public import MySQLCore

extension SubtaskState {
    /// Where reading begins after a takeover: at the newest transaction of the mark, which is
    /// compared again. `nil` before the copy has ended.
    public var readsFrom: SourcePosition? {
        guard var position = lowWater else { return nil }
        if let tail = Tail(encoded: tail) { position.binlog = tail.start }
        return position
    }
}
