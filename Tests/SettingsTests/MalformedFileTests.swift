import Settings
import Testing

/// Files that are damaged or hostile: one clear error, quickly.
@Suite("Malformed settings files")
struct MalformedFileTests {
    private static let good = """
        # a comment
        source: {host: 'db "one"', port: 3306, user: reader}
        target:
          url: mysql://writer@db2
        tables:
          - shop.*
          - 'crm.`a.b`'
        memory: 128MiB
        """

    /// Reads the bytes; the error's text, or `nil` when they were accepted.
    private func refusal(_ bytes: [UInt8]) -> String? {
        let began = ContinuousClock.now
        defer { #expect(ContinuousClock.now - began < .seconds(5)) }
        do throws(SettingsError) {
            _ = try SettingsDraft(bytes: bytes, file: "f.yaml")
            return nil
        } catch {
            #expect(error.message.split(separator: "\n").count == 1, "\(error)")
            return error.description
        }
    }

    @Test("a file cut anywhere is read or refused, never a crash")
    func truncated() {
        let bytes = Array(Self.good.utf8)
        for n in 0..<bytes.count { _ = refusal(Array(bytes[..<n])) }
        #expect(refusal(bytes) == nil)
    }

    @Test("every byte replaced by troublesome ones is read or refused, never a crash")
    func mutated() {
        let bytes = Array(Self.good.utf8)
        let troublesome = Array("\0\t\n:[]{}*&!|>'\"%@`#-?,".utf8) + [0x80, 0xC3, 0xFF]
        for i in bytes.indices {
            for k in 0..<3 {
                var copy = bytes
                copy[i] = troublesome[(i * 5 + k * 7) % troublesome.count]
                _ = refusal(copy)
            }
        }
    }

    @Test("a key that appears twice is refused")
    func duplicateKeys() {
        let message = refusal(Array("lanes: 1\nname: a\nlanes: 2\n".utf8))
        #expect(message?.contains("duplicate key \"lanes\"") == true)
    }

    @Test("aliases that stand for more than any memory holds are refused")
    func aliasBomb() {
        var text = "a0: &a0 [x, x]\n"
        for i in 1..<60 { text += "a\(i): &a\(i) [*a\(i - 1), *a\(i - 1)]\n" }
        #expect(refusal(Array(text.utf8))?.hasPrefix("f.yaml:1:5: anchors") == true)
        var keys = "? &a0 [x, x]\n: 1\n"
        for i in 1..<60 { keys += "? &a\(i) [*a\(i - 1), *a\(i - 1)]\n: 1\n" }
        #expect(refusal(Array(keys.utf8))?.contains("anchors") == true)
        // However lines end, and whatever hides them from a reader who looks for comments.
        for end in ["\r", "\r\n", "\u{85}", "\u{2028}", "\u{2029}"] {
            let lines = text.split(separator: "\n").joined(separator: end)
            #expect(refusal(Array(lines.utf8))?.contains("anchors") == true, "\(end.utf8)")
        }
        let behindSharp = "{\"x #\": &a0 [x, x], \"y #\": &a1 [*a0, *a0], \"z #\": [*a1, *a1]}\n"
        #expect(refusal(Array(behindSharp.utf8))?.contains("anchors") == true)
    }

    @Test("an ampersand inside of a word or a comment is no anchor")
    func plainAmpersand() {
        let text = "source: mysql://a@h?tls=required&tls-ca=ca.pem # R & D\n"
        #expect(refusal(Array(text.utf8)) == nil)
        #expect(refusal(Array("name: 'a & b' # &b\ntables: '*.b*'\n".utf8)) == nil)
    }

    @Test("an unquoted wildcard at the start gets a hint")
    func wildcard() {
        let message = refusal(Array("tables:\n  - *.orders\n".utf8))
        #expect(message?.contains("must be quoted") == true)
        #expect(message?.hasPrefix("f.yaml:2:") == true)
    }

    @Test(
        "deep nesting is refused",
        arguments: [
            String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 50_000),
            String(repeating: "- ", count: 100_000),
            (0..<600).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        ])
    func deep(_ text: String) { #expect(refusal(Array(text.utf8)) != nil) }

    @Test("long files and endless ones are refused by size")
    func long() throws {
        do throws(SettingsError) {
            _ = try SettingsDraft(file: "/dev/zero")
            Issue.record("accepted")
        } catch {
            #expect(error.description == "/dev/zero: the settings file is longer than 256 KiB")
        }
        do throws(SettingsError) {
            _ = try SettingsDraft(file: "/nowhere/skein.yaml")
            Issue.record("accepted")
        } catch {
            #expect(error.message == "the settings file can't be opened: No such file or directory")
        }
    }

    @Test("other encodings are named, with the line where it can be told")
    func encodings() {
        let utf16 = Array("lanes: 1\n".utf16).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        #expect(refusal([0xFF, 0xFE] + utf16)?.contains("not UTF-8") == true)
        #expect(refusal(utf16)?.contains("not UTF-8") == true)
        let latin1 = Array("lanes: 1\nname: caf".utf8) + [0xE9, 0x0A]
        #expect(refusal(latin1)?.hasPrefix("f.yaml:2: the file is not UTF-8") == true)
        #expect(refusal([0xEF, 0xBB, 0xBF] + Array("lanes: 1\n".utf8)) == nil)
    }

    @Test("a second document is refused")
    func documents() { #expect(refusal(Array("lanes: 1\n---\nlanes: 2\n".utf8)) != nil) }
}
