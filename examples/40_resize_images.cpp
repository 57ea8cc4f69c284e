// Many pictures are made smaller, several at a time: each worker reads a file in the PPM format, and writes one of a quarter
// of the width and height beside it. Without arguments the program draws a few pictures first, and removes everything again.
//
//     with Pool() as pool:
//         for line in pool.map(shrink, sys.argv[1:]):
//             print(line)
#include <multiprocessing.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace mp = multiprocessing;
namespace fs = std::filesystem;

std::string size(std::size_t width, std::size_t height) { return std::to_string(width) + ' ' + std::to_string(height); }

std::string shrink(std::string const& name) {
    fs::path const path(name);
    std::ifstream in(path, std::ios::binary);
    std::string kind, most;
    std::size_t width = 0, height = 0;
    in >> kind >> width >> height >> most;
    std::string points(width * height * 3, '\0'); // red, green and blue of each
    if (kind != "P6" || most != "255" || !in.ignore().read(points.data(), static_cast<std::streamsize>(points.size())))
        throw std::runtime_error(name + " is no picture"); // arrives in main, as this type

    std::ofstream out(path.parent_path() / ("small-" + path.filename().string()), std::ios::binary);
    out << "P6 " << size(width / 4, height / 4) << " 255\n";
    for (std::size_t y = 0; y + 4 <= height; y += 4) {
        for (std::size_t x = 0; x + 4 <= width; x += 4) {
            for (std::size_t colour = 0; colour < 3; ++colour) { // the mean of 4 x 4 points
                unsigned sum = 0;
                for (std::size_t i = 0; i < 16; ++i)
                    sum += static_cast<unsigned char>(points[((y + i / 4) * width + x + i % 4) * 3 + colour]);
                out.put(static_cast<char>(sum / 16));
            }
        }
    }
    return path.filename().string() + ": " + size(width, height) + " -> " + size(width / 4, height / 4);
}

int main(int argc, char** argv) {
    mp::freeze_support();
    std::vector<std::string> paths(argv + 1, argv + argc);
    fs::path const folder =
        fs::temp_directory_path() / ("pictures-" + std::to_string(mp::current_process().pid().value()));
    for (unsigned n = 1; argc == 1 && n <= 5; ++n) {
        fs::create_directory(folder);
        paths.push_back((folder / (std::to_string(n) + ".ppm")).string());
        std::ofstream picture(paths.back(), std::ios::binary);
        picture << "P6 " << size(400, 60 * n) << " 255\n";
        for (unsigned i = 0; i < 72'000 * n; ++i) picture.put(static_cast<char>(i * n % 251));
    }
    for (std::string const& line : mp::Pool().map(shrink, paths)) std::cout << line << '\n';
    fs::remove_all(folder);
}
