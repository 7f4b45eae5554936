import MySQLCore
import Testing

@Suite("Times as people write them")
struct StartTimeTests {
    @Test("with a zone they are an instant, without one the server's")
    func forms() {
        #expect(StartTime("1970-01-01T00:00:00Z") == .instant(0))
        #expect(StartTime("2024-02-29 12:00:00Z") == .instant(1_709_208_000))
        #expect(StartTime("2024-02-29T14:00:00+02:00") == .instant(1_709_208_000))
        #expect(StartTime("2024-02-29T08:30:00-03:30") == .instant(1_709_208_000))
        #expect(StartTime("2100-03-01T00:00:00Z") == .instant(4_107_542_400))
        #expect(StartTime("2024-02-29T12:00:00") == .local("2024-02-29 12:00:00"))
    }

    @Test(
        "what is no time is refused",
        arguments: [
            "", "now", "2024-02-30 00:00:00", "2023-02-29 00:00:00", "2100-02-29 00:00:00",
            "2024-13-01 00:00:00", "2024-00-01 00:00:00", "2024-01-00 00:00:00",
            "2024-01-01 24:00:00", "2024-01-01 00:60:00", "2024-01-01", "1969-12-31 23:59:59",
            "2024-01-01 00:00:00 Z", "2024-01-01 00:00:00+2:00", "2024-01-01 00:00:00+15:00",
            "2024-01-01 00:00:00'", "2024-01-01 00:00:00.5", "２024-01-01 00:00:00",
        ])
    func refused(_ text: String) { #expect(StartTime(text) == nil) }

    @Test("what is written is read as the same")
    func roundTrip() {
        // Every seventh day or so up to 2400, at odd hours.
        for seconds in stride(from: Int64(0), to: 13_569_465_600, by: 604_000) {
            let time = StartTime.instant(seconds)
            #expect(StartTime(time.description) == time, "\(time)")
        }
        let local = StartTime.local("2024-02-29 12:00:00")
        #expect(StartTime(local.description) == local)
    }
}
