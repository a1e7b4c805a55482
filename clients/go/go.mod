module github.com/imagestore-sim/imagestore-sim/clients/go

go 1.25
