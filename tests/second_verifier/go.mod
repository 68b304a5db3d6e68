module secondverifier

go 1.24
