# pycdc in one small image: docker run pycdc source --config /etc/pycdc/source.json
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY pycdc pycdc
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1
# compiled once here, because the user below may not write beside the modules
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels pycdc \
 && python -m compileall -q /usr/local/lib/python3.12/site-packages \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pycdc
USER 10001
# pycdc finishes the batch in flight and leaves within 8 s; Docker kills after 10
STOPSIGNAL SIGTERM
ENTRYPOINT ["pycdc"]
CMD ["--help"]
