// Asks a server through PostgreSQL's JDBC driver as DBeaver does: its catalogue by the driver's own queries, values in text and
// in binary form, rows in parts. Argument: the address. Prints what it finds, a line each.

import java.sql.*;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;

public class Ask {
    static void list(String what, ResultSet rows, String column) throws SQLException {
        StringBuilder found = new StringBuilder();
        while (rows.next()) {
            found.append(found.length() == 0 ? "" : ",").append(rows.getString(column));
        }
        System.out.println(what + ": " + found);
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            DatabaseMetaData catalogue = connection.getMetaData();
            System.out.println("product: " + catalogue.getDatabaseProductName() + " " + catalogue.getDatabaseMajorVersion());
            list("schemas", catalogue.getSchemas(), "TABLE_SCHEM");
            list("tables", catalogue.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME");
            list("views", catalogue.getTables(null, "public", "%", new String[] {"VIEW"}), "TABLE_NAME");
            list("columns", catalogue.getColumns(null, "public", "logs", "%"), "COLUMN_NAME");
            list("types", catalogue.getColumns(null, "public", "logs", "%"), "TYPE_NAME");
            list("keys", catalogue.getPrimaryKeys(null, "public", "logs"), "COLUMN_NAME");
            list("imported keys", catalogue.getImportedKeys(null, "public", "logs"), "FKCOLUMN_NAME");
            list("indexes", catalogue.getIndexInfo(null, "public", "logs", false, false), "INDEX_NAME");
            list("functions", catalogue.getFunctions(null, "public", "level"), "FUNCTION_NAME");
            catalogue.getTypeInfo().close();
            list("catalogs", catalogue.getCatalogs(), "TABLE_CAT");
            // From the fifth time on, the driver prepares a statement and wants binary values.
            String sql = "SELECT timestamp, message, json_get_int(message, 'ms') AS ms FROM logs WHERE timestamp >= ? AND json_get_int(message, 'ms') > ? ORDER BY timestamp";
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                for (int turn = 0; turn < 7; turn++) {
                    statement.setObject(1, OffsetDateTime.of(2025, 3, 3, 0, 0, 0, 0, ZoneOffset.ofHours(9)));
                    statement.setInt(2, 100 + turn);
                    try (ResultSet rows = statement.executeQuery()) {
                        rows.next();
                        if (turn % 6 == 0) {
                            System.out.println("row: " + rows.getObject(1, OffsetDateTime.class).toInstant() + " " + rows.getLong(3));
                        }
                    }
                }
            }
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(7);
                int count = 0;
                try (ResultSet rows = statement.executeQuery("SELECT message FROM logs")) {
                    while (rows.next()) {
                        count++;
                    }
                }
                System.out.println("fetched: " + count);
            }
            connection.commit();
            connection.setReadOnly(true);
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("SELECT nope FROM logs");
            } catch (SQLException error) {
                System.out.println("error: " + error.getSQLState());
            }
            connection.rollback();
        }
    }
}
