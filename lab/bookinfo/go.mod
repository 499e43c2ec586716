module bookinfo

go 1.24
