package labcontainer_test

import (
	"os"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	labcontainer "github.com/imagestore-sim/imagestore-sim/clients/go/testcontainers"
)

// image returns the image to test with: docker build -f docker/mn/Dockerfile -t imagestore-sim .
func image() string {
	if named := os.Getenv("LAB_IMAGE"); named != "" {
		return named
	}
	return "imagestore-sim"
}

func TestALabInAContainerIsBrokenAndHealed(t *testing.T) {
	lab := labcontainer.Start(t, image(), testcontainers.WithCmdArgs("--hosts", "1", "--clock", "paused"))
	lab.Host("imagestore-1").Stop()
	lab.WaitForStatus("imagestore-1", "Disconnected", 2*time.Minute)
	lab.Host("imagestore-1").Start()
	lab.WaitForStatus("imagestore-1", "Connected", 2*time.Minute)
	if session := lab.LogIn(); len(session) != 32 {
		t.Errorf("session: %q", session)
	}
}

func TestALabThatDoesNotStartIsTerminated(t *testing.T) {
	container, err := labcontainer.Run(t.Context(), image(), testcontainers.WithCmdArgs("--zstack", "0.1"))
	if err == nil {
		testcontainers.CleanupContainer(t, container)
		t.Error("the lab has started")
	}
}
