import Testing

@testable import Verification

@Suite struct JSONTests {
    private func form(_ text: String, rounds: Bool = false) -> [UInt8]? {
        canonicalJSON(Array(text.utf8), rounds: rounds)
    }

    @Test func equalValuesHaveOneForm() {
        let pairs = [
            (#"{"a":1,"b":[2,3]}"#, #" { "b" : [ 2 , 3.0 ] , "a" : 1e0 } "#),
            (#""\u00e9\ud83d\ude00\n""#, "\"é😀\\u000A\""), ("-0.0", "0"), ("1e2", "100.00"),
            ("0.00012", "1.2E-4"), (#"{"a":1,"a":2}"#, #"{"a":2}"#), ("[]", "[ ]"), ("{}", "{ }"),
            ("18446744073709551615", "18446744073709551615.0"),
        ]
        for (a, b) in pairs {
            #expect(form(a) != nil)
            #expect(form(a) == form(b), "\(a) and \(b)")
        }
    }

    @Test func differentValuesHaveDifferentForms() {
        let texts = [
            "1", "\"1\"", "true", "\"true\"", "null", "[]", "{}", "[1]", "[[1]]", "[1,1]", "[11]",
            #"{"a":1}"#, #"{"a":[1]}"#, #"["a",1]"#, #"{"1":"a"}"#, "\"\"", "[\"\"]", "1.0000001",
            "123456789012345678", "123456789012345679", "-1", #"{"a":{}}"#, #"{"a":[]}"#, "10",
            #""é""#, #""e\u0301""#, #"{"a":1,"b":2}"#, #"{"a":1,"b":{"b":2}}"#,
        ]
        let forms = texts.map { form($0) }
        #expect(!forms.contains(nil))
        #expect(Set(forms).count == texts.count)
    }

    @Test func numbersThatMySQLKeepsAsDoubleAreRounded() {
        #expect(form("3.14159265358979323846") != form("3.141592653589793"))
        #expect(form("3.14159265358979323846", rounds: true) == form("3.141592653589793"))
        #expect(form("123456789012345678", rounds: true) == form("123456789012345678"))
        #expect(form("36893488147419103232", rounds: true) == form("3.6893488147419103e19"))
    }

    @Test func brokenTextsAreNoJSON() {
        let texts = [
            "", " ", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{1:2}", "\"", "\"\\x\"",
            "\"\\u12\"",
            "tru", "1 2", "1.2.3", "--1", "e", "1e", "\"\\ud800\\u0041\"", "[1}", "nul", "-",
        ]
        for text in texts { #expect(form(text) == nil, "\(text)") }
        #expect(form(String(repeating: "[", count: 100_000)) == nil)
    }

    @Test func randomBytesNeverCrash() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array(#"{}[]",:\u0123456789-+.eEtrufalsn "#.utf8)
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            _ = canonicalJSON(text, rounds: Bool.random(using: &random))
        }
    }
}

@Suite struct RealTests {
    @Test func marksStandForPowersOfTwo() {
        #expect(realNumber(Array("1.5".utf8)) == 1.5)
        #expect(realNumber(Array("-1.2676506002282294e30a".utf8)) == -1)
        #expect(realNumber(Array("1c".utf8)) == Double.leastNonzeroMagnitude)
        #expect(realNumber(Array("x".utf8)) == nil)
        #expect(canonicalReal(Array("-0".utf8), keepsSign: false) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(canonicalReal(Array("-0".utf8), keepsSign: true) == [0x80, 0, 0, 0, 0, 0, 0, 0])
    }
}
