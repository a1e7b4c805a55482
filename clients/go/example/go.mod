module github.com/imagestore-sim/imagestore-sim/clients/go/example

go 1.25

require (
	github.com/imagestore-sim/imagestore-sim/clients/go v0.0.0
	github.com/terraform-zstack-modules/zstack-sdk-go v1.0.0
)

replace github.com/imagestore-sim/imagestore-sim/clients/go => ../

require (
	github.com/fatih/color v1.16.0 // indirect
	github.com/fatih/structs v1.1.0 // indirect
	github.com/ghodss/yaml v1.0.0 // indirect
	github.com/kataras/golog v0.1.7 // indirect
	github.com/kataras/pio v0.0.10 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/sys v0.24.0 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
	moul.io/http2curl/v2 v2.3.0 // indirect
)
