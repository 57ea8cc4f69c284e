// A plate of metal whose left and top edges are hot: four processes compute, step by step, how the heat spreads over it. Each
// has some of the rows; all of them see the whole plate, and meet at a barrier after each step. With a file name as its
// argument the program draws the plate there, as a picture in the PGM format.
#include <multiprocessing/process.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/spawn.hpp>
#include <multiprocessing/synchronize.hpp>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <utility>
#include <vector>

namespace mp = multiprocessing;

constexpr std::size_t size = 128; // points in each direction, the edges included
constexpr int steps = 4000;
constexpr std::size_t workers = 4;

using Plate = mp::RawArray<double>; // no lock: the barrier keeps readers and writers apart

void spread(Plate now, Plate next, mp::Barrier barrier, std::size_t worker) {
    std::size_t const first = 1 + (size - 2) * worker / workers;
    std::size_t const last = 1 + (size - 2) * (worker + 1) / workers;
    for (int step = 0; step < steps; ++step) {
        for (std::size_t row = first; row < last; ++row) {
            for (std::size_t at = row * size + 1; at < (row + 1) * size - 1; ++at) {
                next[at] = 0.25 * (now[at - 1] + now[at + 1] + now[at - size] + now[at + size]);
            }
        }
        std::swap(now, next); // the handles, not the numbers
        barrier.wait();
    }
}

void draw(Plate const& plate, char const* path) {
    std::ofstream file(path, std::ios::binary);
    file << "P5\n" << size << ' ' << size << "\n255\n";
    for (double const heat : plate) file.put(static_cast<char>(static_cast<unsigned char>(heat * 2.55)));
}

int main(int argc, char** argv) {
    mp::freeze_support();

    Plate plate(size * size);
    Plate other(size * size);
    for (std::size_t i = 0; i < size; ++i) {
        for (Plate const& each : {plate, other}) each[i] = each[i * size] = 100.0;
    }

    mp::Barrier barrier(workers);
    std::vector<mp::Process> processes;
    for (std::size_t worker = 0; worker < workers; ++worker) {
        processes.emplace_back(spread, plate, other, barrier, worker);
        processes.back().start();
    }
    for (mp::Process& process : processes) process.join();

    double sum = 0;
    for (double const heat : plate) sum += heat; // an even number of steps: the last one was written here
    char text[80];
    std::snprintf(text, sizeof text, "mean temperature after %d steps: %.3f", steps, sum / (size * size));
    std::cout << text << '\n';
    if (argc > 1) draw(plate, argv[1]);
}
