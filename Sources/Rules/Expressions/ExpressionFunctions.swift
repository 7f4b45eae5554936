/// Functions that expressions may call, with the least and the most arguments they take.
enum ExpressionFunctions {
    struct Signature {
        var operation: Operation
        var arguments: ClosedRange<Int>
    }

    static let byName: [String: Signature] = {
        var all: [String: Signature] = [:]
        func add(_ names: String, _ operation: Operation, _ arguments: ClosedRange<Int>) {
            for name in names.split(separator: " ") {
                all[String(name)] = Signature(operation: operation, arguments: arguments)
            }
        }
        add("ABS", .abs, 1...1)
        add("SIGN", .sign, 1...1)
        add("FLOOR", .floor, 1...1)
        add("CEIL CEILING", .ceiling, 1...1)
        add("ROUND", .round, 1...2)
        add("TRUNCATE", .truncate, 2...2)
        add("SQRT", .squareRoot, 1...1)
        add("MOD", .modulo, 2...2)
        add("ISNULL", .isNull, 1...1)
        add("IF", .iff, 3...3)
        add("IFNULL NVL", .ifNull, 2...2)
        add("COALESCE", .coalesce, 1...64)
        add("NULLIF", .nullIf, 2...2)
        add("GREATEST", .greatest, 2...64)
        add("LEAST", .least, 2...64)
        add("CONCAT", .concat, 1...64)
        add("CONCAT_WS", .concatWithSeparator, 2...64)
        add("LENGTH OCTET_LENGTH", .length, 1...1)
        add("CHAR_LENGTH CHARACTER_LENGTH", .charLength, 1...1)
        add("LOWER LCASE", .lower, 1...1)
        add("UPPER UCASE", .upper, 1...1)
        add("SUBSTRING SUBSTR MID", .substring, 2...3)
        add("LEFT", .left, 2...2)
        add("RIGHT", .right, 2...2)
        add("TRIM", .trim, 1...1)
        add("LTRIM", .trimLeft, 1...1)
        add("RTRIM", .trimRight, 1...1)
        add("REPLACE", .replace, 3...3)
        add("LOCATE", .locate, 2...3)
        add("INSTR", .inString, 2...2)
        add("REVERSE", .reverse, 1...1)
        add("ASCII", .ascii, 1...1)
        add("STRCMP", .compareText, 2...2)
        add("REPEAT", .repeated, 2...2)
        add("LPAD", .padLeft, 3...3)
        add("RPAD", .padRight, 3...3)
        add("FIND_IN_SET", .findInSet, 2...2)
        add("FIELD", .field, 2...64)
        add("HEX", .hex, 1...1)
        add("DATE", .date, 1...1)
        add("TIME", .time, 1...1)
        add("YEAR", .year, 1...1)
        add("QUARTER", .quarter, 1...1)
        add("MONTH", .month, 1...1)
        add("DAY DAYOFMONTH", .day, 1...1)
        add("HOUR", .hour, 1...1)
        add("MINUTE", .minute, 1...1)
        add("SECOND", .second, 1...1)
        add("MICROSECOND", .microsecond, 1...1)
        add("DAYOFWEEK", .dayOfWeek, 1...1)
        add("WEEKDAY", .weekday, 1...1)
        add("DAYOFYEAR", .dayOfYear, 1...1)
        add("TO_DAYS", .toDays, 1...1)
        add("DATEDIFF", .dateDifference, 2...2)
        add("LAST_DAY", .lastDay, 1...1)
        add("UNIX_TIMESTAMP", .unixTimestamp, 1...1)
        add("FROM_UNIXTIME", .fromUnixTime, 1...1)
        return all
    }()
}
