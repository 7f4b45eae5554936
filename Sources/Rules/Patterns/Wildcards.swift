/// Whether a text matches a pattern of elements that each take one character, or, for `isAny`, any
/// run of them. Greedy, with one place to come back to: never worse than the product of the
/// lengths.
func matchesWildcards<Element>(
    _ elements: [Element], _ text: [UInt32], isAny: (Element) -> Bool,
    accepts: (Element, UInt32) -> Bool
) -> Bool {
    var e = 0
    var t = 0
    var star: (element: Int, text: Int)?
    while t < text.count {
        if e < elements.count, isAny(elements[e]) {
            star = (e, t)
            e += 1
        } else if e < elements.count, accepts(elements[e], text[t]) {
            e += 1
            t += 1
        } else if let back = star {
            e = back.element + 1
            t = back.text + 1
            star = (back.element, t)
        } else {
            return false
        }
    }
    while e < elements.count, isAny(elements[e]) { e += 1 }
    return e == elements.count
}
