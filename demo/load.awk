# Endless transactions of one client of the shop, as SQL; ends when the file `stop` appears.
# Variables: seed, stop (a path), pause (seconds between transactions).

function random(n) { return int(rand() * n) + 1 }

function transfer(    a, b, amount) {
    a = random(2000)
    b = a % 2000 + 1
    amount = random(5000) / 100
    printf "BEGIN;UPDATE accounts SET balance=balance+IF(id=%d,-%.2f,%.2f) WHERE id IN (%d,%d);", a, amount, amount, a, b
    printf "INSERT INTO transfers (id,payer,payee,amount) VALUES (UUID(),%d,%d,%.2f);COMMIT;\n", a, b, amount
}

function order(    line, lines) {
    lines = random(4)
    printf "BEGIN;INSERT INTO orders (customer_id,placed_at,year,state,note) VALUES (%d,NOW(3),2026,'new',IF(%d%%3,NULL,'für Zoé'));", random(120000), lines
    printf "SET @id=LAST_INSERT_ID();INSERT INTO order_items (order_id,line,product_id,quantity,price) VALUES "
    for (line = 1; line <= lines; line++)
        printf("%s(@id,%d,%d,%d,%.2f)", (line > 1) ? "," : "", line, random(20000), random(9), random(9999) / 100)
    printf ";UPDATE stock SET pieces=pieces-1 WHERE warehouse='north' AND product_id=%d;COMMIT;\n", random(20000)
}

function visit(    customer) {
    customer = random(9000)
    # The same row twice, then one of its kind less.
    printf "INSERT INTO visits VALUES (%d,'/cart','Lynx/2.9','2024-08-01',1.5),(%d,'/cart','Lynx/2.9','2024-08-01',1.5);\n", customer, customer
    printf "DELETE FROM visits WHERE customer_id=%d LIMIT 1;\n", random(9000)
    printf "UPDATE visits SET seconds=seconds+0.25 WHERE customer_id=%d LIMIT 1;\n", random(9000)
}

BEGIN {
    srand(seed)
    while ((getline line < stop) < 0) {
        dice = random(100)
        if (dice <= 35) transfer()
        else if (dice <= 60) order()
        else if (dice <= 70) printf "UPDATE products SET price=price+0.01*%d WHERE id=%d;\n", random(9), random(20000)
        else if (dice <= 82) printf "UPDATE customers SET preferences=JSON_SET(COALESCE(preferences,'{}'),'$.visits',%d),city='Lübeck' WHERE id=%d;\n", random(999), random(120000)
        else if (dice <= 88) printf "DELETE FROM orders WHERE id=%d;\n", random(250000)
        else if (dice <= 92) { id = random(250000); printf "UPDATE orders SET state='sent' WHERE id BETWEEN %d AND %d;\n", id, id + 20 }
        else visit()
        printf "DO SLEEP(%s);\n", pause
        fflush()
    }
}
