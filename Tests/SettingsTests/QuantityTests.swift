import MySQLClient
import Settings
import Testing

@Suite("Sizes, times, names")
struct QuantityTests {
    @Test("sizes are read as people write them")
    func sizes() {
        #expect(ByteSize("128MiB")?.bytes == 128 << 20)
        #expect(ByteSize("8 mb")?.bytes == 8_000_000)
        #expect(ByteSize("64K")?.bytes == 65_536)
        #expect(ByteSize("0")?.bytes == 0)
        #expect(ByteSize("65536")?.description == "64KiB")
        for wrong in ["", "MiB", "-1", "1.5GiB", "1 zib", "99999999999999999999", "9000000TiB"] {
            #expect(ByteSize(wrong) == nil, "\(wrong)")
        }
    }

    @Test("times are read as people write them")
    func times() {
        #expect(TimeSpan("500ms")?.duration == .milliseconds(500))
        #expect(TimeSpan("30")?.duration == .seconds(30))
        #expect(TimeSpan("5m")?.duration == .seconds(300))
        #expect(TimeSpan("2h")?.duration == .seconds(7200))
        for wrong in ["", "s", "1 week", "-5s", "99999999d"] { #expect(TimeSpan(wrong) == nil) }
    }

    @Test("the nearest name is found, and none when nothing is near")
    func nearest() {
        let names = ["tables", "target", "exclude", "chunk-rows"]
        #expect(nearestName(to: "tabels", among: names) == "tables")
        #expect(nearestName(to: "chunkrows", among: names) == "chunk-rows")
        #expect(nearestName(to: "TARGET", among: names) == "target")
        #expect(nearestName(to: "zzz", among: names) == nil)
    }

    @Test("passwords come from a file, then the environment, then the prompt")
    func passwords() throws {
        let options = try ConnectionOptions(url: "mysql://a@h")
        let all = PasswordSource(
            environment: { $0 == "SKEIN_SOURCE_PASSWORD" ? "from environment" : nil },
            prompt: { $0 == "Password of target a@h:3306: " ? "typed" : nil })
        #expect(try all.password(.source, options, nil) == Password("from environment"))
        #expect(try all.password(.target, options, nil) == Password("typed"))
        #expect(try all.password(.source, options, "/dev/null") == Password(""))
        #expect(throws: SettingsError.self) {
            try all.password(.source, options, "/nowhere/password")
        }
        let silent = PasswordSource(environment: { _ in nil }, prompt: nil)
        #expect(try silent.password(.source, options, nil).isEmpty)
    }
}
