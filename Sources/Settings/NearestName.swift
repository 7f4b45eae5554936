/// The valid name that a person most likely meant, `nil` when none is near: at most a third of
/// the characters may differ, where two swapped neighbours count as one difference.
public func nearestName(to name: String, among names: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().prefix(64))
    var best: (name: String, distance: Int)?
    for candidate in names {
        let distance = editDistance(wanted, Array(candidate.lowercased().prefix(64)))
        if distance < best?.distance ?? Int.max { best = (candidate, distance) }
    }
    guard let best, best.distance <= max(1, max(wanted.count, best.name.count) / 3) else {
        return nil
    }
    return best.name
}

/// ` (did you mean "tables"?)`, or the list of names when there are few, or nothing.
func suggestion(for name: String, among names: [String]) -> String {
    if let near = nearestName(to: name, among: names) { return "; did you mean \"\(near)\"?" }
    return names.count <= 8 ? "; known are \(names.joined(separator: ", "))" : ""
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the
/// other (optimal string alignment).
func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var older: [Int] = []
    var previous = Array(0...b.count)
    for i in 1...a.count {
        var row = [i]
        for j in 1...b.count {
            let replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
            var cost = min(replaced, previous[j] + 1, row[j - 1] + 1)
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                cost = min(cost, older[j - 2] + 1)
            }
            row.append(cost)
        }
        older = previous
        previous = row
    }
    return previous[b.count]
}
