/// How many transactions a batch may hold.
///
/// Large batches cost the target least. But where rows are few, or some of them hot, most
/// transactions conflict with one that is waiting or running: batches then wait for each other, and
/// lanes have nothing to do. Smaller ones, of which fewer transactions are in flight, conflict less.
/// Where even those run one after the other, as with a row that all transactions change, large ones
/// are better again.
struct BatchLimit: Sendable {
    /// The limit where nothing is in the way of large batches.
    private let most: Int
    private let lanes: Int
    /// Transactions that a batch may hold now.
    private(set) var value: Int
    private var added = 0
    private var conflicting = 0
    private var commits = 0
    private var companions = 0
    /// Transactions for which it stays as it is, since smaller ones have not helped.
    private var rest = 0

    /// Transactions between two looks at their conflicts.
    private static let span = 256
    /// Commits between two looks at what runs beside each other.
    private static let commitSpan = 32
    /// The least that it becomes: still smaller ones cost more than they gain.
    private static let least = 32
    /// Looks for which it rests.
    private static let pause = 128

    init(most: Int, lanes: Int) {
        self.most = most
        self.lanes = lanes
        value = most
    }

    /// A transaction comes.
    ///
    /// - Parameter conflicts: whether with one that waits or runs.
    mutating func add(conflicts: Bool) {
        added += 1
        if conflicts { conflicting += 1 }
        guard added == Self.span else { return }
        let share = conflicting
        (added, conflicting) = (0, 0)
        if rest > 0 {
            rest -= 1
        } else if lanes < 2 {
            // Nothing runs beside it that smaller batches would be in the way of less.
            value = most
        } else if share * 2 > Self.span {
            value = max(min(Self.least, most), value / 2)
        } else if share * 8 < Self.span {
            value = min(most, value * 2)
        }
    }

    /// A batch is committed, beside which others run.
    mutating func commit(beside others: Int) {
        guard value < most else { return }
        commits += 1
        companions += others
        guard commits == Self.commitSpan else { return }
        let isAlone = companions * 6 < Self.commitSpan * (lanes - 1)
        (commits, companions) = (0, 0)
        if isAlone {
            value = most
            rest = Self.pause
        }
    }
}
