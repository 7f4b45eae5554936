import Testing

@testable import MySQLClient

@Suite("How a server is named")
struct OptionsTests {
    @Test("a URL says where, as whom, and how")
    func urls() throws {
        let full = try ConnectionOptions(
            url: "mysql://me@db1:3307/shop?tls=verify-ca&tls-ca=/a/ca.pem&compress=1"
                + "&tls-cert=c&tls-key=k&connect-timeout=3")
        #expect(full.host == "db1" && full.port == 3307 && full.user == "me")
        #expect(full.database == "shop" && full.tls.mode == .verifyCA)
        #expect(
            full.tls.caFile == "/a/ca.pem" && full.compresses && full.connectTimeoutSeconds == 3)
        #expect(full.tls.certificateFile == "c" && full.tls.keyFile == "k")
        let short = try ConnectionOptions(url: "mariadb://me@db1")
        #expect(short.port == 3306 && short.database == nil && short.tls.mode == .preferred)
        #expect(try ConnectionOptions(url: "mysql://me@[::1]:33/").server == "[::1]:33")
        #expect(try ConnectionOptions(url: "mysql://me@[fe80::2]").host == "fe80::2")
        let socket = try ConnectionOptions(url: "mysql://me@/?socket=/run/my%20sql")
        #expect(socket.socket == "/run/my sql" && socket.server == "/run/my sql")
        let encoded = try ConnectionOptions(url: "mysql://a%40b%3Ac@h/d%2Fe")
        #expect(encoded.user == "a@b:c" && encoded.database == "d/e")
        #expect(try ConnectionOptions(url: "mysql://a@b@h").user == "a@b")
    }

    @Test(
        "a URL that can't be used is refused with its reason",
        arguments: [
            ("db1:3306", "mysql://"), ("mysql://db1", "user"), ("mysql://@db1", "user"),
            ("mysql://me@", "host"), ("mysql://me@h:0", "port"), ("mysql://me@h:70000", "port"),
            ("mysql://me@h:x", "port"), ("mysql://me@h:", "port"), ("mysql://me@h:+33", "port"),
            ("mysql://me@[::1]x", "address"), ("mysql://me@h?tls=maybe", "verify-identity"),
            ("mysql://me@h?tsl=1", "tsl"), ("mysql://me@h?connect-timeout=0", "connect-timeout"),
            ("mysql://m%4@h", "percent"), ("mysql://m%zz@h", "percent"),
        ])
    func refusals(url: String, word: String) {
        let error = #expect(throws: URLError.self) { try ConnectionOptions(url: url) }
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }

    @Test("a password in a URL is refused, and not repeated")
    func passwordInURL() {
        let error = #expect(throws: URLError.self) {
            try ConnectionOptions(url: "mysql://me:geheim@h")
        }
        #expect(error?.description.contains("geheim") == false)
    }

    @Test("a password never shows itself")
    func passwords() {
        var options = ConnectionOptions(user: "me", password: Password("geheim"))
        options.database = "d"
        var dumped = ""
        dump(options, to: &dumped)
        let texts = [
            "\(options)", String(describing: options), String(reflecting: options), dumped,
            "\(options.password)", String(reflecting: options.password),
            "\([options.password])", "\(Optional(options.password) as Any)",
        ]
        for text in texts { #expect(!text.contains("geheim"), "\(text)") }
        #expect("\(options.password)" == "***")
        #expect(Password("").isEmpty && !options.password.isEmpty)
    }

    @Test("an error says whether trying again helps")
    func classes() {
        func error(_ code: UInt32) -> MySQLError {
            MySQLError(code: code, sqlState: "HY000", message: "", server: "h:1")
        }
        for code: UInt32 in [1205, 1213] { #expect(error(code).retry == .transaction) }
        for code: UInt32 in [2002, 2003, 2006, 2013, 1053, 1927, 4031] {
            #expect(error(code).retry == .connection && error(code).isConnectionLost)
        }
        for code: UInt32 in [1040, 1114, 1290, 1836] {
            #expect(error(code).retry == .later && !error(code).isConnectionLost)
        }
        for code: UInt32 in [1045, 1062, 1064, 1146, 2026] { #expect(error(code).retry == .no) }
        #expect(error(1062).description == "h:1: ERROR 1062 (HY000): ")
    }

    @Test("a greeting says whether the server has TLS")
    func greeting() {
        func packet(_ flags: UInt16) -> [UInt8] {
            [80, 0, 0, 0, 10] + Array("10.11.1".utf8) + [0, 1, 0, 0, 0]
                + [UInt8](repeating: 65, count: 8) + [
                    0, UInt8(flags & 255), UInt8(flags >> 8), 8, 2,
                ]
        }
        #expect(offersTLS(packet(0x0800)) && offersTLS(packet(0xFFFF)))
        #expect(!offersTLS(packet(0)) && !offersTLS(packet(0xF7FF)))
        let good = packet(0x0800)
        for length in 0..<(good.count - 2) { #expect(!offersTLS(Array(good.prefix(length)))) }
        #expect(!offersTLS([9, 0, 0, 0, 0xFF, 0x10, 4] + Array("too many".utf8)))
    }
}
