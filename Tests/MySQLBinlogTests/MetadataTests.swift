import MySQLBinlog
import MySQLCore
import Testing

/// What table maps tell of columns beyond their types.
@Suite struct MetadataTests {
    static func map(_ golden: String, _ table: String) throws -> TableMap {
        var walker = Walker()
        for event in Golden.named(golden).events { try walker.walk(raw: event) }
        return try #require(walker.maps.values.first { $0.table == table })
    }

    @Test(arguments: ["mysql-types", "mariadb-types"])
    func fullMetadataNamesEverything(golden: String) throws {
        let map = try Self.map(golden, "mixed")
        let names = try #require(map.metadata.columnNames)
        #expect(map.schema == "golden")
        func column(_ name: String) -> Int { names.firstIndex(of: name)! }
        let collations = try #require(map.metadata.collations)
        #expect(collations[column("c1")] == 8)
        #expect(collations[column("c3")] == 11)
        #expect(collations[column("c6")] == 63)
        #expect(collations[column("c2")] == collations[column("c5")])
        #expect([45, 255].contains(collations[column("c4")]))
        let members = try #require(map.metadata.memberCollations)
        #expect(members[column("e2")] == 8)
        #expect(members[column("e1")] == collations[column("c4")])
        #expect(map.metadata.isUnsigned?[column("u")] == true)
        #expect(map.metadata.isUnsigned?.filter { $0 }.count == 1)
        #expect(map.metadata.enumMembers == [[[0x61]]])
        #expect(map.metadata.setMembers == [[[0x62]]])
        #expect(map.metadata.geometryTypes == [0])
        #expect(map.metadata.primaryKey == [.init(column: 0, prefixLength: 0)])
        #expect(map.nullable == names.map { $0 != "id" })
        #expect(map.metadata.unknownFields == [])
        #expect(map.columns[column("c1")].length == 3)
        #expect(map.columns[column("c2")].length == 12)
        #expect(map.columns[column("b")].length == 3)
        #expect(map.columns[column("e1")].type == .enum)
        #expect(map.columns[column("e2")].type == .set)
    }

    @Test(arguments: ["mysql-types", "mariadb-types"])
    func keysWithPrefixesAndHiddenColumns(golden: String) throws {
        let map = try Self.map(golden, "hidden")
        #expect(map.metadata.columnNames?.prefix(4) == ["a", "id", "secret", "g"])
        #expect(
            map.metadata.primaryKey == [
                .init(column: 1, prefixLength: 0), .init(column: 0, prefixLength: 5),
            ])
        if golden.hasPrefix("mysql") {
            #expect(map.metadata.isVisible == [true, true, false, true, true])
        }
    }

    @Test func geometryAndVectorTypes() throws {
        let map = try Self.map("mysql-types", "places")
        #expect(map.metadata.geometryTypes == [0, 1, 2, 3, 4, 7])
        #expect(map.metadata.vectorDimensions == [3])
        let places = try Self.map("mariadb-types", "places")
        #expect(places.metadata.geometryTypes == [0, 1, 2, 3, 4, 7])
    }

    @Test func lengthsAndMembersOfTexts() throws {
        for golden in ["mysql-types", "mariadb-types"] {
            let map = try Self.map(golden, "texts")
            let names = try #require(map.metadata.columnNames)
            func length(_ name: String) -> Int {
                Int(map.columns[names.firstIndex(of: name)!].length)
            }
            #expect(length("c0") == 0)
            #expect(length("c255") == 1020)
            #expect(length("v256") == 256)
            #expect(length("v2000") == 8000)
            #expect(length("b255") == 255)
            #expect(map.metadata.setMembers?[1].count == 64)
            #expect(map.metadata.enumMembers?[0][1] == Array("b,'c".utf8))
        }
    }

    @Test func minimalMetadataHasOnlyWhatRowsNeed() throws {
        let map = try Self.map("mysql-images", "t")
        #expect(map.metadata.columnNames == nil)
        #expect(map.metadata.isUnsigned?[0] == true)
        #expect(map.metadata.collations != nil)
        let none = try Self.map("mariadb-control", "t")
        #expect(none.metadata == TableMetadata())
    }
}
