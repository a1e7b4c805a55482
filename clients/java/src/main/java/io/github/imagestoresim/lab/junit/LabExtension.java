package io.github.imagestoresim.lab.junit;

import io.github.imagestoresim.lab.Lab;
import io.github.imagestoresim.lab.LabException;
import io.github.imagestoresim.lab.LabOptions;
import java.time.Duration;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolutionException;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * Gives tests a lab, as a parameter of type {@link Lab}. {@link ImagestoreLab} registers it; with options of its own it
 * is {@code @RegisterExtension}: a static field for one lab a class, another field for one lab a test.
 */
public final class LabExtension
        implements BeforeAllCallback, BeforeEachCallback, AfterEachCallback, AfterAllCallback, ParameterResolver {
    private final LabOptions options;
    private final Namespace namespace = Namespace.create(LabExtension.class, this);

    /** Take the options from {@link ImagestoreLab}. */
    public LabExtension() {
        this(null);
    }

    /**
     * Take these options, for {@code @RegisterExtension}.
     *
     * @param options how each lab is started
     */
    public LabExtension(LabOptions options) {
        this.options = options;
    }

    /** A lab, and the context whose end is its end. */
    private record Held(Lab lab, String owner) {}

    @Override
    public void beforeAll(ExtensionContext context) {
        if (held(context) == null && scopeOf(context) == Scope.CLASS) {
            hold(context);
        }
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        Held held = held(context);
        if (held == null) {
            hold(context);
        } else {
            held.lab().reset();
        }
    }

    @Override
    public void afterEach(ExtensionContext context) {
        release(context);
    }

    @Override
    public void afterAll(ExtensionContext context) {
        release(context);
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == Lab.class;
    }

    @Override
    public Lab resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Held held = held(context);
        if (held == null) {
            throw new ParameterResolutionException("a lab of scope METHOD is for test methods, @BeforeEach and "
                    + "@AfterEach: " + parameter.getDeclaringExecutable() + " has none yet");
        }
        return held.lab();
    }

    private Held held(ExtensionContext context) {
        return context.getStore(namespace).get(Held.class, Held.class);
    }

    private void hold(ExtensionContext context) {
        Lab lab = Lab.start(options == null ? optionsOf(annotation(context)) : options);
        context.getStore(namespace).put(Held.class, new Held(lab, context.getUniqueId()));
    }

    private void release(ExtensionContext context) {
        Held held = held(context);
        if (held != null && held.owner().equals(context.getUniqueId())) {
            context.getStore(namespace).remove(Held.class);
            held.lab().stop();
        }
    }

    /** With options of its own it is called here only as a static field. */
    private Scope scopeOf(ExtensionContext context) {
        return options == null ? annotation(context).scope() : Scope.CLASS;
    }

    /** Return the annotation of the test's class, or of the nearest class around it. */
    private static ImagestoreLab annotation(ExtensionContext context) {
        for (Class<?> type = context.getRequiredTestClass(); type != null; type = type.getEnclosingClass()) {
            if (type.isAnnotationPresent(ImagestoreLab.class)) {
                return type.getAnnotation(ImagestoreLab.class);
            }
        }
        throw new LabException(context.getRequiredTestClass() + " has no @ImagestoreLab");
    }

    private static LabOptions optionsOf(ImagestoreLab lab) {
        LabOptions options = LabOptions.options().arguments(lab.arguments());
        if (lab.hosts() >= 0) {
            options.hosts(lab.hosts());
        }
        if (lab.seed() >= 0) {
            options.seed(lab.seed());
        }
        if (!lab.clock().isEmpty()) {
            options.clock(lab.clock());
        }
        if (lab.pingInterval() >= 0) {
            options.pingInterval(Duration.ofSeconds(lab.pingInterval()));
        }
        if (!lab.zstack().isEmpty()) {
            options.zstack(lab.zstack());
        }
        return lab.image().isEmpty() ? options : options.image(lab.image());
    }
}
