// Package labcontainer runs a lab of imagestore-sim in a container, by Testcontainers for Go.
//
//	lab := labcontainer.Start(t, "imagestore-sim", testcontainers.WithCmdArgs("--hosts", "1", "--clock", "paused"))
//	lab.Host("imagestore-1").Stop()
//	lab.WaitForStatus("imagestore-1", "Disconnected", 2*time.Minute)
package labcontainer

import (
	"context"
	"fmt"
	"testing"

	imagestorelab "github.com/imagestore-sim/imagestore-sim/clients/go"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

const port = "8080/tcp"

// Container is a lab in a container.
type Container struct{ testcontainers.Container }

// Run starts a container of the image, and returns once the lab is ready. Options of the command `imagestore-sim lab`
// are given by testcontainers.WithCmdArgs. If it returns an error, what had started is terminated.
func Run(ctx context.Context, image string, options ...testcontainers.ContainerCustomizer) (*Container, error) {
	first := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd("lab", "--host", "0.0.0.0", "--port", "8080"),
		testcontainers.WithExposedPorts(port),
		testcontainers.WithWaitStrategy(wait.ForLog(`(?m)^ready `).AsRegexp()),
	}
	container, err := testcontainers.Run(ctx, image, append(first, options...)...)
	if err != nil {
		if ended := testcontainers.TerminateContainer(container); ended != nil {
			err = fmt.Errorf("%w; and it is not terminated: %w", err, ended)
		}
		return nil, err
	}
	return &Container{container}, nil
}

// URL returns the address of the lab's management node, as this machine reaches it.
func (container *Container) URL(ctx context.Context) (string, error) {
	return container.PortEndpoint(ctx, port, "http")
}

// Start runs a lab until the end of the test, and returns it with the words of the Go kit. It fails the test if the
// container cannot be run.
func Start(t testing.TB, image string, options ...testcontainers.ContainerCustomizer) *imagestorelab.Lab {
	t.Helper()
	container, err := Run(t.Context(), image, options...)
	if err != nil {
		t.Fatalf("labcontainer: %v", err)
	}
	testcontainers.CleanupContainer(t, container)
	address, err := container.URL(t.Context())
	if err != nil {
		t.Fatalf("labcontainer: %v", err)
	}
	return imagestorelab.Connect(t, address)
}
