internal import MySQLCore
internal import Worker

/// A migration's plan as text and as JSON.
enum PlanLines {
    /// The plan as lines for people; long lists are cut, JSON has all of it.
    static func text(_ plan: MigrationPlan, limit: Int = 40) -> [String] {
        var out = [
            "", "source      \(plan.source)", "target      \(plan.target)",
            "read views  \(plan.readViews)",
        ]
        out.append("relay log   \(plan.relayFolder ?? "none (--no-relay)")")
        if let phase = plan.resumedPhase {
            out.append("continues   an earlier run, which has reached the phase \"\(phase)\"")
        }
        if !plan.createdSchemas.isEmpty {
            out.append("creates     \(plan.createdSchemas.joined(separator: ", "))")
        }
        if !plan.objects.isEmpty {
            out.append(
                "objects     \(plan.objects.joined(separator: ", ")); views and routines come "
                    + "after the rows, triggers and events with --finish")
        }
        let rows = plan.tables.reduce(UInt64(0)) { $0 + $1.estimatedRows }
        let bytes = plan.tables.reduce(UInt64(0)) { $0 + $1.estimatedBytes }
        out.append(
            "tables      \(plan.tables.count), about \(Wording.roughCount(Double(rows))) rows, "
                + "\(Wording.bytes(Double(bytes))) (estimates of the source)")
        let largest = plan.tables.sorted { $0.estimatedBytes > $1.estimatedBytes }.prefix(limit)
        let columns = min(60, largest.map { TextFitting.width($0.name.description) }.max() ?? 0)
        for table in largest {
            let name = TextFitting.padded(TextFitting.printable(table.name.description), columns)
            let size =
                "~\(Wording.roughCount(Double(table.estimatedRows))) rows, "
                + Wording.bytes(Double(table.estimatedBytes))
            out.append(
                "  \(TextFitting.padded(table.action.rawValue, 8)) \(name)  \(size)"
                    + (table.hasKey ? "" : ", no key"))
        }
        if plan.tables.count > largest.count {
            out.append("  and \(plan.tables.count - largest.count) smaller tables")
        }
        return out
    }

    /// The line of type `plan`.
    static func record(_ plan: MigrationPlan, microseconds: Int64) -> JSONObject {
        var out = StatusRecord.begin("plan", microseconds)
        out.set("source", plan.source)
        out.set("target", plan.target)
        out.set("read_views", plan.readViews)
        out.set("relay_folder", plan.relayFolder)
        out.set("resumed_phase", plan.resumedPhase)
        out.set("created_schemas", plan.createdSchemas)
        out.set("objects", plan.objects)
        out.set(
            "tables",
            plan.tables.map { table in
                var entry = JSONObject()
                entry.set("schema", table.name.schema)
                entry.set("table", table.name.name)
                entry.set("action", table.action.rawValue)
                entry.set("rows_estimated", table.estimatedRows)
                entry.set("bytes_estimated", table.estimatedBytes)
                entry.set("has_key", table.hasKey)
                return entry
            })
        return out
    }
}
