/// A statement without the secrets that its literals can hold: what stands behind `CONNECTION`,
/// `PASSWORD` and `IDENTIFIED BY`, and literals that hold a URL with a password or the word
/// "password" (engines take their parameters from comments). For messages, logs and records of
/// what ran, never for running it.
public func withoutSecrets(_ sql: String) -> String {
    var out: [UInt8] = []
    var word: [UInt8] = []
    var last: [UInt8] = []
    let bytes = Array(sql.utf8)
    var i = 0
    while i < bytes.count {
        let c = bytes[i]
        if c == UInt8(ascii: "'") || c == UInt8(ascii: "\"") {
            let end = literalEnd(bytes, i)
            let literal = bytes[i..<end]
            out.append(c)
            out +=
                isSecret(literal, behind: word.isEmpty ? last : word)
                ? Array("***".utf8) : Array(literal.dropFirst().dropLast())
            // One without its end is shown without it too.
            if literal.count > 1, literal.last == c { out.append(c) }
            (word, last) = ([], [])
            i = end
            continue
        }
        out.append(c)
        i += 1
        if isLetter(c) {
            word.append(c & ~0x20)
        } else if !word.isEmpty {
            (last, word) = (word, [])
        }
        // Only white space and '=' may stand between the word and its literal.
        let isBetween = c == 0x20 || (9...13).contains(c) || c == UInt8(ascii: "=")
        if !isLetter(c), !isBetween { (word, last) = ([], []) }
    }
    return String(decoding: out, as: UTF8.self)
}

private func isLetter(_ c: UInt8) -> Bool { (0x41...0x5A).contains(c & ~0x20) }

/// Behind the quote that ends a literal, or the end of the text.
private func literalEnd(_ bytes: [UInt8], _ start: Int) -> Int {
    var i = start + 1
    while i < bytes.count {
        if bytes[i] == UInt8(ascii: "\\") {
            i += 2
        } else if bytes[i] != bytes[start] {
            i += 1
        } else if i + 1 < bytes.count, bytes[i + 1] == bytes[start] {
            i += 2
        } else {
            return i + 1
        }
    }
    return bytes.count
}

private func isSecret(_ literal: ArraySlice<UInt8>, behind word: [UInt8]) -> Bool {
    if ["CONNECTION", "PASSWORD", "BY"].contains(where: { Array($0.utf8) == word }) { return true }
    let text = String(decoding: literal, as: UTF8.self).lowercased()
    return text.contains("password") || (text.contains("://") && text.contains("@"))
}
