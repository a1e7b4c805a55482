module example.com/retrying-client

go 1.25
