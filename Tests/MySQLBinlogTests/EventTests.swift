import MySQLBinlog
import MySQLCore
import Testing

/// Events around rows, as real servers write them.
@Suite struct EventTests {
    static func walk(_ name: String) throws -> Walker {
        var walker = Walker()
        for event in Golden.named(name).events { try walker.walk(raw: event) }
        return walker
    }

    @Test func goldenFilesHoldTheEventsOfAReplicasLife() throws {
        var types: Set<UInt8> = []
        for golden in Golden.all { types.formUnion(try Self.walk(golden.name).types) }
        let wanted: [UInt8] = [
            2, 4, 5, 13, 14, 15, 16, 19, 23, 24, 25, 29, 30, 31, 32, 33, 35, 38, 39, 40, 42, 160,
            161, 162, 163, 165, 166, 167, 168,
        ]
        #expect(wanted.filter { !types.contains($0) } == [])
    }

    @Test(arguments: Golden.all)
    func positionsAreTheSumOfSizes(golden: Golden) throws {
        for file in golden.files {
            var at = 4
            for event in file {
                let header = try EventHeader(event.span.bytes)
                #expect(Int(header.size) == event.count)
                at += event.count
                #expect(Int(header.logPosition) == at)
            }
        }
    }

    @Test func taggedGTIDsAreRead() throws {
        let gtids = try Self.walk("mysql-control").gtids
        let tags = gtids.map(\.tag).filter { !$0.isEmpty }
        #expect(tags == ["blue", "a_long_tag_of_thirty_two_chars_", "red_1", "blue"])
        let foreign = gtids.filter { $0.uuid.description == "ffffffff-80ff-11ee-be56-0242ac120002" }
        #expect(foreign.map(\.number) == [4_000_000_000, 77])
        #expect(
            foreign.first?.identity?.description
                == "ffffffff-80ff-11ee-be56-0242ac120002:red_1:4000000000")
        for gtid in gtids {
            #expect(gtid.immediateServerVersion == 90704)
            #expect(gtid.originalServerVersion == 90704)
            #expect(gtid.immediateCommitMicroseconds > 1_600_000_000_000_000)
            #expect(gtid.originalCommitMicroseconds == gtid.immediateCommitMicroseconds)
            #expect(gtid.sequenceNumber > gtid.lastCommitted)
        }
    }

    @Test(arguments: ["mysql-control", "mysql-types", "mysql-compressed", "mysql-nochecksum"])
    func transactionLengthsAreTheSumOfTheirEvents(name: String) throws {
        for file in Golden.named(name).files {
            var expected: UInt64 = 0
            var sum: UInt64 = 0
            var isCompressed = false
            let format = try FormatDescription.first(of: file)
            for event in file {
                let body = try format.body(of: event.span.bytes)
                switch try EventHeader(body).type {
                case .gtid, .taggedGTID:
                    // The length of a compressed transaction is the compressed one.
                    #expect(sum == expected)
                    expected = try GTIDEvent(body).transactionLength
                    sum = 0
                case .rotate:
                    #expect(sum == expected)
                    continue
                case .transactionPayload: isCompressed = true
                default: break
                }
                if expected > 0 { sum += UInt64(event.count) }
            }
            #expect(isCompressed == (name == "mysql-compressed"))
        }
    }

    @Test func previousGTIDsHoldTags() throws {
        let golden = Golden.named("mysql-control")
        let event = golden.files[1][1]
        let body = try FormatDescription.first(of: golden.files[1]).body(of: event.span.bytes)
        let set = try PreviousGTIDsEvent(body).gtids
        for gtid in try Self.walk("mysql-control").gtids.dropLast() {
            #expect(set.contains(.init(uuid: gtid.uuid, tag: gtid.tag), gtid.number))
        }
        #expect(set.description.contains(":red_1:4000000000"))
        // Without tags the older encoding is used.
        let plain = Golden.named("mysql-types").files[0]
        let other = plain[1]
        let span = try FormatDescription.first(of: plain).body(of: other.span.bytes)
        _ = try PreviousGTIDsEvent(span)
    }

    @Test func queriesCarryTheirSessionsState() throws {
        let queries = try Self.walk("mysql-control").queries
        let create = try #require(queries.first { $0.text.contains("CREATE TABLE u") })
        #expect(String(decoding: create.schema, as: UTF8.self) == "golden")
        let status = create.status
        #expect(
            status.options?.isSuperset(of: [
                .autoIsNull, .noForeignKeyChecks, .relaxedUniqueChecks,
            ]) == true)
        #expect(status.charsets?.client == 8)
        #expect(status.charsets?.connection == 5)
        #expect(status.catalog == "std")
        // ANSI_QUOTES and NO_BACKSLASH_ESCAPES.
        #expect(status.sqlMode == 4 | 1 << 20)
        #expect(status.unknownCode == nil)
        #expect(status.defaultCollationForUTF8MB4 == 255)
        #expect(status.updatedSchemas == ["golden"])
        #expect(status.ddlXID != nil)
        #expect(create.errorCode == 0)
        let view = try #require(queries.first { $0.text.contains("VIEW `v`") })
        #expect(view.text.contains("`someone`@`somehost`"))
        let insert = try #require(queries.first { $0.text.hasPrefix("INSERT INTO u") })
        #expect(insert.status.autoIncrement.map { [$0.increment, $0.offset] } == [3, 2])
        #expect(queries.contains { $0.text == "BEGIN" })
        #expect(queries.contains { $0.status.timeZone == "+02:00" })
        #expect(queries.allSatisfy { $0.status.unknownCode == nil })
    }

    @Test func mariadbQueriesCarryTheirSessionsState() throws {
        let queries = try Self.walk("mariadb-control").queries
        let create = try #require(queries.first { $0.text.contains("CREATE TABLE u") })
        #expect(
            create.status.options == [
                .noForeignKeyChecks, .relaxedUniqueChecks, .explicitDefaultsForTimestamp,
            ])
        #expect(create.status.charsets?.client == 8)
        #expect(queries.contains { $0.status.microseconds != nil })
        #expect(queries.contains { $0.status.timeZone == "+02:00" })
        #expect(queries.allSatisfy { $0.status.unknownCode == nil })
    }

    @Test func compressedQueriesUnpackToTheStatement() throws {
        let queries = try Self.walk("mariadb-compressed").queries
        let create = try #require(queries.first { $0.text.hasPrefix("CREATE TABLE t") })
        #expect(create.text.hasSuffix("lorem ipsum'"))
    }

    @Test func statementEventsAreRecognised() throws {
        for name in ["mysql-control", "mariadb-control"] {
            let contexts = try Self.walk(name).contexts
            let hasInteger = contexts.contains { if case .integer = $0 { true } else { false } }
            let hasRandom = contexts.contains { if case .random = $0 { true } else { false } }
            #expect(hasInteger && hasRandom)
            #expect(contexts.contains(.userVariable(name: "v")))
        }
    }

    @Test func xaTransactionsAreNamed() throws {
        let prepares = try Self.walk("mysql-control").xaPrepares
        #expect(prepares.map(\.isOnePhase) == [false, true])
        let name = XATransactionID(
            formatID: 7, globalTransaction: Array("global".utf8), branch: Array("branch".utf8))
        #expect(prepares[0].xid == name)
        #expect(prepares[1].xid.globalTransaction == Array("one".utf8))
        let groups = try Self.walk("mariadb-control").mariadbGTIDs
        let prepared = groups.filter { $0.flags.contains(.preparedXA) }
        let completed = groups.filter { $0.flags.contains(.completedXA) }
        #expect(
            prepared.map(\.xid?.globalTransaction) == [Array("global".utf8), Array("gone".utf8)])
        #expect(prepared.first?.xid == name)
        #expect(completed.map(\.xid) == prepared.map(\.xid))
    }

    @Test func mariadbGTIDsHaveDomainsAndFlags() throws {
        let groups = try Self.walk("mariadb-control").mariadbGTIDs
        let texts = groups.map(\.gtid.description)
        #expect(texts.contains { $0.hasPrefix("7-99-") })
        #expect(texts.contains("4294967295-99-9000000000000000000"))
        #expect(groups.contains { $0.flags.contains(.ddl) && $0.flags.contains(.standalone) })
        #expect(groups.contains { $0.flags.contains(.transactional) })
        #expect(groups.contains { !$0.flags.contains(.allowParallel) })
        #expect(groups.contains { $0.alterPhase == .start })
        let started = try #require(groups.first { $0.alterPhase == .start }).gtid.sequence
        #expect(groups.contains { $0.alterPhase == .commit(started) })

        let second = Golden.named("mariadb-control").files[1]
        let list = try #require(second.first { $0[4] == 163 })
        let body = try FormatDescription.first(of: second).body(of: list.span.bytes)
        let position = try GTIDListEvent(body).position
        #expect(position.last[7]?.server == 99)
        #expect(position.last[.max]?.sequence == 9_000_000_000_000_000_000)
        #expect(position.last[0].map { g in groups.contains { $0.gtid == g } } == true)
    }
}

extension QueryEvent {
    var text: String { String(decoding: sql, as: UTF8.self) }
}

extension FormatDescription {
    static func first(of file: [[UInt8]]) throws -> FormatDescription {
        let event = file[0]
        return try FormatDescription(event.span.bytes)
    }
}
