# Transactions of one client on customers, orders and items, with foreign keys between them, as SQL.
# Variables: client (0, 1, ..), clients, transactions, customers, first (an order id that is free).
# Clients work on orders of their own and lock one customer at a time, so they never deadlock.

function random(n) { return int(rand() * n) + 1 }

BEGIN {
    srand(client + 1)
    open = 0
    for (n = 0; n < transactions; n++) {
        id = first + n * clients + client
        customer = random(customers)
        print "BEGIN;"
        printf "UPDATE customers SET balance = balance + %d WHERE id = %d;\n", random(900), customer
        printf "INSERT INTO orders VALUES (%d, %d, 'new', %d);\n", id, customer, random(9999)
        printf "INSERT INTO items VALUES (%d, 1, %d, 'one'), (%d, 2, %d, 'two');\n", id, random(99), id, random(99)
        if (n >= 20) {
            # An order of some time ago is sent; an older one goes, and its items go with it.
            printf "UPDATE orders SET state = 'sent' WHERE id = %d;\n", id - 10 * clients
            if (n % 2 == 0) printf "DELETE FROM orders WHERE id = %d;\n", id - 20 * clients
        }
        print "COMMIT;"
    }
}
